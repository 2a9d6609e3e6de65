"""Meta's error codes: what each stands for."""
