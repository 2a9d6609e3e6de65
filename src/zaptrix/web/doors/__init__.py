"""The doors that platforms knock on: webhooks, and signed addresses of files; and what was spooled, once more."""
