"""The WhatsApp room: Meta's wire format to the house's neutral message and back."""
