"""The ledger: messages, their files, and the claims, verdicts, receipts and confirmations of their delivery."""
