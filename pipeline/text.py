"""Text that others wrote, made safe: names, reasons and messages as a terminal, a log line or a page may show them."""

from __future__ import annotations

import json
import unicodedata
from typing import Final

# Controls, formats (they turn the direction of writing, or are not seen), what is assigned to nobody, halves of
# characters, and what breaks a line.
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
# Letters by their category that no font shows.
_UNSEEN: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def shown(text: object) -> str:
    r"""Return text on one line, every character that is not plainly seen escaped, such as \x1b, \n or \u202e.

    For people, not to be read back: a backslash of the text itself stays as it is.
    """
    found = str(text)
    if found.isascii() and found.isprintable():
        return found
    return "".join(_escaped(char) if _unsafe(char) else char for char in found)


def shown_lines(text: object) -> str:
    """Return text of our own with its line breaks, all else as `shown` does."""
    return "\n".join(shown(line) for line in str(text).split("\n"))


def is_text(text: str) -> bool:
    """Tell whether it is Unicode text, as the name of a file need not be: Python holds the rest as lone surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def json_text(document: object, *, ascii_only: bool = False) -> str:
    """Return a document as JSON for people and programs: names are exact, what `shown` escapes is escaped by JSON.

    With `ascii_only` so is all else that is not ASCII.
    """
    text = json.dumps(document, indent=2, sort_keys=True, default=str, ensure_ascii=ascii_only)
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(_json_escaped(char) if char != "\n" and _unsafe(char) else char for char in text)


def _unsafe(char: str) -> bool:
    return char in _UNSEEN or unicodedata.category(char) in _UNSAFE


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _json_escaped(char: str) -> str:
    return "\\u007f" if char == "\x7f" else json.dumps(char)[1:-1]
