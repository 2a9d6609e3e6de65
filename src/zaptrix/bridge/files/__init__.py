"""Files on their way: fetched, made fit, uploaded, and followed up."""
