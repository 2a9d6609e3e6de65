"""The domain: what a message, a customer and a delivery are, and the rules about them.

Pure: no I/O, no clock, no randomness, no environment.
"""
