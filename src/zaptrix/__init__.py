"""Zaptrix: joins WhatsApp numbers to Bitrix24 Open Channels, for many portals at once."""

__version__ = "0.1.0"
