"""The commands: what an administrator types."""
