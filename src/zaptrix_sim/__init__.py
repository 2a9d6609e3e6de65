"""Simulators of both platforms, and the ledger of what truly happened.

They speak HTTP only and share no code with the gateway: a judge that reuses the parser it judges agrees with its
mistakes.
"""
