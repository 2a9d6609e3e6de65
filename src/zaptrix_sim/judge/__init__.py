"""The judge: what truly happened, as facts in their order, and what of it should not have happened. Pure."""
