"""/control: what a test or the page may order and see."""
