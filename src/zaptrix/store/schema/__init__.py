"""The schema: migrated, judged before a process serves, and changed while it is in use."""
