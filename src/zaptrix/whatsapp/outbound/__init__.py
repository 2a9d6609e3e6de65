"""From neutral messages to calls of the Graph API; pure."""
