"""The worker's door: bells in, work done, nothing lost when it goes wrong."""
