"""The command line: it gathers flags, calls the desk, and prints; it decides nothing.

A command's module is named by the verb a user types (`lamplighter watch` is watch.py, `lamplighter cameras import` is
cameras.py); a module that is no command is a noun (tables, options, board). At their top the commands import typer, the
standard library and `options` alone, and all else inside: `lamplighter --help` must not load what it does not use.
"""
