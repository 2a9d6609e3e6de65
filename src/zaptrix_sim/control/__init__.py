"""The API of tests and of the page: what they may order, and what they may see."""
