"""The server: its processes, connections, readiness, and what it does beside requests."""
