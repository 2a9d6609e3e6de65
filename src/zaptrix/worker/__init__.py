"""The worker process: answers bells, fetches files, and runs what is scheduled.

Nothing is lost when it goes wrong.
"""
