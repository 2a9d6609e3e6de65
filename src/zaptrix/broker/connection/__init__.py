"""The way to Redis: one server, a cluster, or a primary that Sentinels name; and names of keys."""
