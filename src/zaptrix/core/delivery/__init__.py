"""Delivery's rules: claims, lanes, pace, what a call can end in, and what is done about it; pure."""
