"""Everything on one machine: PostgreSQL, Redis and our own processes, under one data folder."""
