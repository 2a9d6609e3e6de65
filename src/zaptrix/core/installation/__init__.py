"""What an installation is set up with, and what keeps its servers from being used; pure."""
