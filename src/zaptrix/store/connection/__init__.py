"""The way to PostgreSQL: dialling, the pool, group commit, the clock that all hosts share, and a replica for lists."""
