"""From Bitrix24's events to neutral ones; pure."""
