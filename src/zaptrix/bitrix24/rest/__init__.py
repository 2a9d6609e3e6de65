"""Calls of a portal: the REST client, OAuth and its tokens, and what each error code stands for."""
