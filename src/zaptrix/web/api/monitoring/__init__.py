"""Monitoring: health, metrics and statistics, and what they look up."""
