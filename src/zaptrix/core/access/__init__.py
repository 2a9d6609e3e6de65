"""Who may do what: an API key's scopes, and who owns what is unique across tenants; pure."""
