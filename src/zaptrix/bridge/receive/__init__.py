"""Receive: an event becomes a row before it is acknowledged, and a heartbeat tells how long the gateway was away."""
