"""Tenants: portals, channels, templates, API keys, what each may use, and the audit of every change."""
