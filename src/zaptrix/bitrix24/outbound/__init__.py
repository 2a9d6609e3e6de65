"""From neutral messages to what an open line shows; pure."""
