"""`zaptrix doctor`: what the gateway stands on, looked at from inside and outside."""
