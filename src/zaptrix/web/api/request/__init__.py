"""A caller's request: who calls, what was sent, and what is wrong with it."""
