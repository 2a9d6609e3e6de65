"""PostgreSQL: the one place that counts as the truth.

SQL stands here, as constants above the functions that run it.
"""
