"""`zaptrix`: the command line."""

import typer

import zaptrix

app = typer.Typer(no_args_is_help=True, add_completion=False, help="WhatsApp <-> Bitrix24 Open Channels gateway.")


@app.callback()
def _root() -> None:
    """Only holds the commands together."""


@app.command()
def version() -> None:
    """Print the version."""
    print(zaptrix.__version__)
