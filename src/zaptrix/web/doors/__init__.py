"""Endpoints outside of the API: webhooks, and signed addresses of files; and the replay of what was spooled."""
