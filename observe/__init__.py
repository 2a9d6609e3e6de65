"""Watching Zaptrix: the Grafana dashboard's source, `make observe`, and the check of its queries by a known load."""
