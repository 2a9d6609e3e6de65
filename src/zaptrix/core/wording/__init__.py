"""Every text for people: one file a language, and what reads them."""
