"""The management API: portals, channels, messages, conversations, dead letters, events."""
