"""Portals and channels: managed, looked up, registered, and what each may use."""
