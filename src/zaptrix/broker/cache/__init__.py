"""What is worth not asking PostgreSQL for again, and how often that was so."""
