"""Deliver: one dispatcher claims what is due, calls the platform, and settles what came of it; then it is confirmed."""
