"""What stops a command, said so that the reader knows what to do."""


class StartError(Exception):
    """Something could not be started; the text is for the person at the terminal."""


class Interrupted(Exception):
    """Somebody broke a command off that had already changed something; the text says what."""
