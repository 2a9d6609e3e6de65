"""Route: an event becomes messages of a conversation, edits, receipts, or a move of a customer."""
