"""What `app.py` is composed of: a builder for each room."""
