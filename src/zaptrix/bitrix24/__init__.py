"""Bitrix24: Open Channels of many portals, by their REST API and their events."""
