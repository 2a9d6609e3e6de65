"""WhatsApp: Meta's wire format to the neutral message and back."""
