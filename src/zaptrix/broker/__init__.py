"""Redis: bells, cache and pace. Nothing in here is the truth; losing all of it costs seconds, never a message."""
