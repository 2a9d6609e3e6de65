"""What a portal is asked beside messages: registration, contacts, its disk, histories and its queue of events."""
