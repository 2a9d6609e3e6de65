"""What both platforms share: their state, the faults that a test orders, files, limits, and what is kept on disk."""
