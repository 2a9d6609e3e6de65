"""What is said: texts, files, interactive messages, templates; and what keeps one from being sent; pure."""
