"""`python -m zaptrix`: the command line, by this very interpreter."""

from zaptrix.cli.entry import run

run()
