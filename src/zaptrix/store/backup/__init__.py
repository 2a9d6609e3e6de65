"""Backup: all rows out of one snapshot, and what is known of a ledger that was restored."""
