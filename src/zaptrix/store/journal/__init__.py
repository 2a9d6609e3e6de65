"""The journal: what platforms told us, as it came, and what of it was lost and found again."""
