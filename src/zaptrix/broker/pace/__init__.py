"""How fast we may call, and how often we may be called: shared by all processes."""
