"""Bitrix24 portals: REST, OAuth, open lines with their chats, the CRM, and the events that go out."""
