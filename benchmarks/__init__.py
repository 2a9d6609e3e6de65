"""Benchmarks: what the house does in a second, over HTTP, on real servers."""
