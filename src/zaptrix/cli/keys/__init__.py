"""Keys: those of the API, and those that secrets at rest are under."""
