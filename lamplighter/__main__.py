"""`python -m lamplighter` is the command `lamplighter`."""

from lamplighter.cli import main

main()
