"""The API's description: OpenAPI, and the pages that show it."""
