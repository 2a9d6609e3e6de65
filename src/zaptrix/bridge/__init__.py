"""The use cases of the gateway: receive -> route -> deliver -> recover.

A step is one committed transaction and one verdict.
"""
