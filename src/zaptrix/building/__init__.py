"""The builders that `app.py` composes the gateway from."""
