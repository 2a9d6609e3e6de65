"""Send: what API callers ask for, and the templates that Meta has approved."""
