"""The Bitrix24 room: Open Channels of many portals, by their REST API and their events."""
