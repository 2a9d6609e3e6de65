"""Redis: queues of bells, caches, and the pace of calls.

Nothing in here is the truth; losing all of it costs seconds, never a message.
"""
