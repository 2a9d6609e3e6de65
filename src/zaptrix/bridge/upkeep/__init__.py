"""Upkeep: what is done again and again, and what an admin puts on its way again."""
