"""The web server: webhooks of the platforms, the management API, monitoring, and files."""
