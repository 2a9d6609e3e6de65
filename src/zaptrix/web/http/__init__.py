"""HTTP: addresses, bodies, responses, problems, and who comes by a private way."""
