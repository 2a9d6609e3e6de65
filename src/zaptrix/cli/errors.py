"""What stops a command, said so that the reader knows what to do."""


class StartError(Exception):
    """Something could not be started; the text is for the person at the terminal."""
