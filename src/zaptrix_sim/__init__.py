"""Simulators of both platforms: a Graph API, Bitrix24 portals with their OAuth server, and the ledger of what truly happened.

They speak HTTP only and share no code with the gateway: a judge that reuses the parser it judges agrees with its mistakes.
"""
