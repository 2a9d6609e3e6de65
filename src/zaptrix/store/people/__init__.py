"""Customers: their conversations, the window of each, and where they moved."""
