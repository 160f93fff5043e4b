"""How a text reads, whatever it is spelled with: what is invisible goes, and what looks like a letter becomes it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from itertools import groupby
from typing import Final

_NAMED = re.compile(
    r"(?:LATIN|REGIONAL INDICATOR|SQUARED|CIRCLED|PARENTHESIZED|NEGATIVE|SYMBOL|DINGBAT| )+"
    r"(?:(CAPITAL|SMALL)\b ?)?(?:SMALL |CAPITAL )?(?:LETTER |SYMBOL LETTER )?"
    r"(?:SMALL |CAPITAL |TURNED |REVERSED )*([A-Z])"
    r"(?: WITH .*| ABOVE| BELOW)?"
)
# Letters that a reader takes for one another, digits and signs that stand for letters among them.
_ALIKE: Final = str.maketrans("i1|!0346@5$7+892€", "lllloeagassttbgze")
_SIGNS: Final = "@$€!|+"
_LONG: Final = 4  # letters and digits of a case number that is no part of another by chance
_JOINS: Final = 6  # letters that words which are joined over spaces have at least


# What people write for Latin letters and the table does not have.
_LIKE: Final = dict(zip("яієзигґбдчшцυ₽℗®©þ⊙○◯●◌⚪⭕ß。", "riesnrr6a4wuuppRCpoooooooß.", strict=True))


@lru_cache(maxsize=4096)
def looks(char: str) -> str:
    """Return the ASCII letter, digit or sign that a character looks like, the character itself where it is like none.

    By Unicode's table of confusables (UTS 39), by its value as a digit, or by the letter in its name: small capitals
    and letters with strokes are in no table.
    """
    if char.isascii():
        return char
    if (value := unicodedata.numeric(char, -1.0)) in range(10):
        return str(int(value))
    if char in _LIKE:
        return _LIKE[char]
    listed = [like for like in _table().get(char, ()) if len(like) == 1]
    found = [one for one in listed if one.isascii()]
    same = [one for one in found if (one.isupper(), one.islower()) == (char.isupper(), char.islower())]
    if same or found:
        return (same or found)[0]
    for one in (char, *listed):
        if named := _NAMED.fullmatch(unicodedata.name(one, "")):
            return named[2] if one.isupper() or named[1] == "CAPITAL" else named[2].lower()
    return "-" if unicodedata.category(char) in {"Pd", "Pc"} else char


@cache
def _table() -> dict[str, list[str]]:
    # It is read from a file of a megabyte when it is imported, and most texts are ASCII.
    from confusable_homoglyphs.confusables import confusables_data  # noqa: PLC0415

    return {char: [one["c"] for one in found] for char, found in confusables_data.items()}


def plain(text: str) -> str:
    """Return a text as it reads: without what is invisible and without accents, its look-alikes as ASCII.

    Its case stays. A character may become several, or none: it is for comparing texts, not for showing them.
    """
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text))
    seen = (char for char in apart if unicodedata.category(char) not in {"Cf", "Mn", "Me"} and char not in _INVISIBLE)
    return unicodedata.normalize("NFKC", "".join(looks(char) for char in seen))


# Letters that show nothing: fillers of Hangul and Braille's blank. Unicode calls them default ignorable, or a symbol.
_INVISIBLE: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\u17b4\u17b5")


def hidden(text: str) -> list[str]:
    """Return what of a text's spelling a reader does not see: invisible characters, and words of several alphabets."""
    found = []
    shown = [char for char in text if unicodedata.category(char) == "Cf" or char in _INVISIBLE]
    if shown:
        found.append(f"characters that do not show ({', '.join(sorted({f'U+{ord(char):04X}' for char in shown}))})")
    if re.search(r"<[A-Za-z/!][^>]*>|&#?\w+;", text):
        found.append("what a page takes for markup")
    words = {word: sorted(_alphabets(word)) for word in re.findall(r"[^\W\d_]+", text)}
    return found + [f"{word!r} mixes {' and '.join(used)} letters" for word, used in words.items() if len(used) > 1]


def foreign(text: str) -> list[str]:
    """Return the alphabets of a text that are not Latin, which the words of the rules are not written in."""
    return sorted(_alphabets(text) - {"Latin"})


def _alphabets(text: str) -> set[str]:
    return {_alphabet(char) for char in text if char.isalpha()}


@lru_cache(maxsize=4096)
def _alphabet(char: str) -> str:
    name = unicodedata.name(char, "unnamed").split()
    if name[0] in {"MATHEMATICAL", "FULLWIDTH", "CIRCLED", "SQUARED", "PARENTHESIZED", "DOUBLE-STRUCK", "SCRIPT"}:
        return name[0].capitalize()
    if {"TURNED", "REVERSED", "INVERTED"} & set(name):
        return "Turned"
    if name[0] in {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO"}:
        return "East Asian"
    return "Latin" if name[0] in {"LATIN", "FEMININE", "MASCULINE", "MICRO"} else name[0].capitalize()


# Case numbers


def same_case(one: str, other: str) -> bool:
    """Tell whether two texts are one case number to a reader, whichever dashes, spaces, case and alphabets spell it.

    Separators may be others or be left out, and each group of digits may begin with zeros, but not both at once: two
    different numbers of one agency (2026-1-17 and 2026-11-07) would be one.
    """
    return one == other or any(
        a and b and (a == b or "".join(a) == "".join(b) or _short(a) == _short(b))
        for a, b in zip(_groups(one), _groups(other), strict=True)
    )


def like_case(one: str, other: str) -> bool:
    """Tell whether two case numbers may be one that somebody dressed up, by words around it or by zeros."""
    for a, b in zip(_groups(one), _groups(other), strict=True):
        short, long = sorted((_short(a), _short(b)), key=len)
        joined, other_joined = "".join(short), "".join(long)
        if not joined:
            continue
        inside = any(long[at : at + len(short)] == short for at in range(len(long)))
        digits, other_digits = (re.findall(r"\d+", " ".join(one)) for one in (short, long))
        bare, other_bare = joined.replace("0", ""), other_joined.replace("0", "")
        if joined == other_joined or (digits and digits == other_digits):
            return True
        if (inside and len(joined) >= _LONG) or (bare == other_bare and len(bare) >= _LONG):
            return True
    return False


@lru_cache(maxsize=65536)
def _groups(text: str) -> tuple[tuple[str, ...], ...]:
    """Return a case number's groups of letters and digits as they read: as typed, in small letters and in capitals.

    What looks like a digit is one then: O and I in capitals, o and l in small letters.
    """
    read = plain(text)
    digits = str.maketrans("OoIl|", "00111")
    cased = (read.translate(digits), read.casefold().translate(digits), read.upper().translate(digits))
    return tuple(tuple(re.findall(r"[^\W_]+", one.casefold())) for one in cased)


def _short(groups: Iterable[str]) -> tuple[str, ...]:
    return tuple(re.sub(r"(?<!\d)0+(?=\d)", "", group) for group in groups)


# Words


@lru_cache(maxsize=4096)
def folded(word: str) -> str:
    """Return a word with one letter for all that read alike: l for I and 1, o for 0, a for 4 and @."""
    return re.sub(r"[^\w]|_", "", plain(word).casefold().translate(_ALIKE))


def tokens(text: str) -> list[str]:
    """Return a text's words, folded; a number in digits is none.

    Words that begin or end with a sign follow once more at the end, with it as the letter it may stand for.
    """
    found = re.findall(rf"(?:[^\W_]|[{re.escape(_SIGNS)}])+", plain(text).casefold())
    words = [one for one in found if re.search(r"[^\W\d_]", one)]
    bare = [one.strip("!+|") for one in words]
    return [folded(one) for one in bare] + [folded(one) for one, other in zip(words, bare, strict=True) if one != other]


def spelled_out(words: list[str], wanted: str) -> bool:
    """Tell whether a text's words, folded, hold a word or phrase, also when it is torn into parts: "pro test"."""
    whole = folded(wanted)
    if not whole:
        return False
    for at in range(len(words)):
        joined, until = "", at
        while until < len(words) and len(joined) < len(whole):
            joined += words[until]
            until += 1
        parts = words[at:until]
        if joined == whole and (len(parts) == 1 or len(whole) >= _JOINS or all(len(one) == 1 for one in parts)):
            return True
    return False


def squeezed(text: str) -> str:
    """Return a text's letters alone, folded, each once where it is drawn out ("prooootest")."""
    letters = "".join(tokens(text))
    return "".join(char for char, _ in groupby(letters))
