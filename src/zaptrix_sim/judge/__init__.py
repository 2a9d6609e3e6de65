"""The judge: what happened, as facts in their order, and which of it should not have happened.

Pure, and imports no other room.
"""
