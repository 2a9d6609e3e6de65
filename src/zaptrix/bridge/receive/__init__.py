"""Receive: an event becomes a row before it is acknowledged, and who gave no sign of life meanwhile."""
