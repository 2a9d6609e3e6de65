"""BBCode: read and written, with what a customer wrote made harmless; pure."""
