"""`python -m lamplighter` is the command `lamplighter`."""

from lamplighter.cli.app import main

main()
