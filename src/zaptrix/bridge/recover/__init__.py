"""Recover: what operators wrote unheard is found in a portal's history, or in its queue of events."""
