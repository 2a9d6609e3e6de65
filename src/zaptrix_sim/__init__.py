"""Simulators of WhatsApp's Cloud API and of Bitrix24, and a judge of what happened between them.

They speak HTTP only and share no code with the gateway: a judge that reuses the parser it judges agrees with its
mistakes. Neither platform imports the other; both stand on `world`, and `judge` imports nobody.
"""
