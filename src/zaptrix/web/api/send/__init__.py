"""What `/api/messages` takes: each kind of message, with its file and its examples."""
