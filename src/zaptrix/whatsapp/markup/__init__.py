"""WhatsApp's marks: read and written; and what has to cross byte for byte; pure."""
