"""Recover: finds operators' replies that no event told of, in a portal's history or in its queue of events."""
