"""What the operator is told: notices, pauses, quotes, and why a message waits."""
