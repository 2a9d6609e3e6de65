"""From Meta's webhooks to neutral events; pure."""
