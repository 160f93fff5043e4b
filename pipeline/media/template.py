"""Templates: how a path says its camera and start, and every way in which one can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from typing import Final, Protocol

from pipeline.clip import check_zone
from pipeline.errors import ClipError, ConfigError
from pipeline.media.localtime import LOCAL, Told
from pipeline.span import NS, checked_instant

_FIELD = re.compile(r"\{(?:(camera|any|part|digits|number|ext)|start(?::([^{}]+))?)\}")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_NUMBER = {"Y": r"\d{4}", "y": r"\d{2}", "m": r"\d{2}", "d": r"\d{2}", "j": r"\d{3}", "H": r"\d{2}", "I": r"\d{2}",
           "M": r"\d{2}", "S": r"\d{2}", "f": r"\d{1,9}(?!\d)"}  # fmt: skip
_UNPADDED = {f"-{name}": r"\d{1,2}(?!\d)" for name in "mdHIMS"}
# What each directive looks like in a path; those left out (%c, %x ...) depend on the locale.
_DIRECTIVES: Final = _NUMBER | _UNPADDED | {
    "b": f"(?i:{'|'.join(month[:3] for month in _MONTHS)})(?![A-Za-z])",
    "B": f"(?i:{'|'.join(_MONTHS)})(?![A-Za-z])",
    "p": r"[ \u00a0\u202f]?[AaPp](?:\.[Mm]\.|[Mm])",
    # Without a UTC before it -1 or -01 is as likely the number of a copy, or of a channel.
    "z": r"(?:(?:(?:UTC|GMT)[+-]\d{1,2}(?:[:._-]?\d{2})?|[+-]\d{2}[:._-]?\d{2}|\+\d{2})(?!\d)|Z|UTC|GMT)",
    "%": "%",
}  # fmt: skip
_EPOCHS: Final = {"epoch": NS, "%s": NS, "epoch_ms": NS // 1000}  # nanoseconds in one unit
_EPOCH = (r"(?<!\d)\d{1,16}(?!\d)\.\d{1,9}(?!\d)", r"(?<!\d)\d{1,16}(?!\d)")  # the longer one, where it fits
_DEFAULT_FORM = "%Y%m%dT%H%M%SZ"
_PLAIN: Final = {"digits": r"(?<!\d)\d+(?!\d)", "number": r"(?<!\d)\d{1,18}(?!\d)", "ext": r"[A-Za-z0-9]{1,8}"}
_MOST = 500  # ways to read one path


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a path: what it calls the camera, when the clip starts, and its number in the camera's count.

    rank: the place, among several templates, of the one it was read by.
    """

    camera: str | None = None
    start: Told | None = None
    number: int | None = None
    rank: int = field(default=0, compare=False)


class Readable(Protocol):
    """A template, or several."""

    def readings(self, path: str, *, times: bool = True) -> list[Reading]:
        """Return every way in which a path can be read, without `times` whatever its starts say.

        Raises ClipError("name", ...) when there is none.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Token:
    """A piece of a template. kind: "text", "any", "part", "camera", or what `patterns` stand for, in their order.

    `caseless`: text that may stand there in any case. `start`: it belongs to a start.
    """

    kind: str
    text: str = ""
    patterns: tuple[re.Pattern[str], ...] = ()
    caseless: bool = False
    start: bool = False


_Found = tuple[tuple[int, int, int], ...]  # of tokens that say something: which, and from where to where


class PathTemplate:
    """Reads camera and start time out of a path, such as `{camera}/{start:%Y%m%dT%H%M%SZ}.{ext}`.

    `{camera}` takes one path part or a piece of one; `{start:FORMAT}` a time in strptime's directives, `{start:epoch}`
    seconds since 1970 and `{start:epoch_ms}` milliseconds; several starts are one, joined. FORMAT@ZONE is local time in
    a zone; `{number}` a count; `{part}` anything without a slash, `{digits}`, `{ext}` and `{any}` what they say. It is
    matched against the end of the path. Raises ConfigError for a template that cannot be read.
    """

    def __init__(self, template: str) -> None:
        self.template = template
        self._tokens: list[_Token] = []
        self._forms: list[str] = []
        zones: list[str] = []
        seen: set[str] = set()
        at = 0
        for one in _FIELD.finditer(template):
            self._text(template[at : one.start()])
            kind, at = one[1] or "start", one.end()
            if kind in seen & {"camera", "number", "ext"}:
                raise ConfigError(f"template {template!r}: {{{kind}}} stands in it twice")
            seen.add(kind)
            if kind == "start":
                zones += self._start(one[2] or _DEFAULT_FORM)
            else:
                patterns = (re.compile(_PLAIN[kind]),) if kind in _PLAIN else ()
                self._tokens.append(_Token(kind, patterns=patterns))
        self._text(template[at:], last=True)
        left = _FIELD.sub("", template)
        if "{" in left or "}" in left or not seen & {"camera", "start"}:
            raise ConfigError(
                f"template {template!r}: wanted {{camera}} and {{start:%Y%m%dT%H%M%SZ}} (also {{number}}, {{part}}, "
                "{digits}, {ext}, {any}), got something else in braces or neither of them"
            )
        self._form = " ".join(self._forms)
        self._zone = self._checked(zones)
        self._quick = re.compile(f"(?:.*/)?{''.join(map(_quick, self._tokens))}", re.DOTALL)

    def readings(self, path: str, *, times: bool = True) -> list[Reading]:
        """Return every way in which `path` can be read, whose times are times; without `times`, all without a start.

        Raises ClipError("name", ...) when it does not fit, its time is none, or it fits in too many ways.
        """
        found = _Reader(self._tokens, path).found() if self._quick.fullmatch(path) else set()
        if not found:
            raise NoFit("name", f"the path does not fit the template {self.template!r}; mend the one or the other")
        readings: dict[Reading, None] = {}
        wrong: ClipError | None = None
        for one in sorted(found):
            try:
                readings[self._reading(path, one, times=times)] = None
            except ClipError as error:
                wrong = error
        if not readings and wrong is not None:
            raise wrong
        return list(readings)

    def _text(self, text: str, *, last: bool = False) -> None:
        ending = re.search(r"\.[A-Za-z0-9]+$", text) if last else None
        head = text[: ending.start()] if ending else text
        if head:
            self._tokens.append(_Token("text", head))
        if ending:
            self._tokens.append(_Token("text", ending[0].lower(), caseless=True))

    def _start(self, form: str) -> list[str]:
        """Add the tokens of one start; return the zone it says, if it says one."""
        before, sign, zone = form.rpartition("@")
        zones = [zone] if sign and "%" not in zone else []
        form = before if zones else form
        self._forms.append(form)
        if form in _EPOCHS:
            patterns = tuple(map(re.compile, _EPOCH if _EPOCHS[form] == NS else _EPOCH[1:]))
            self._tokens.append(_Token(form, patterns=patterns, start=True))
            return zones
        pieces = [piece for piece in re.split(r"(%-?.)", form) if piece]
        for piece in pieces:
            name = piece[1:]
            if not piece.startswith("%"):
                self._tokens.append(_Token("text", piece, start=True))
            elif name in _DIRECTIVES:
                self._tokens.append(_Token(name, patterns=(re.compile(_DIRECTIVES[name]),), start=True))
            else:
                known = " ".join(f"%{name}" for name in _DIRECTIVES)
                raise ConfigError(f"template {self.template!r}: {piece} is not one of {known}, epoch, epoch_ms")
        says_utc = pieces[-1].endswith("Z") and not pieces[-1].startswith("%")
        return [*zones, "UTC"] if says_utc else zones

    def _checked(self, zones: list[str]) -> str:
        """Return the zone of its times; raise ConfigError unless they tell one instant once."""
        told = [token.kind for token in self._tokens if token.start and token.kind not in {"text", "%"}]
        bare = [name.removeprefix("-") for name in told]
        twice = {"y": "Y", "b": "m", "B": "m", "j": "md", "I": "H"}
        clash = any(name in bare and set(others) & set(bare) for name, others in twice.items())
        for epoch in set(_EPOCHS) & set(bare):
            clash = clash or bare != [epoch]
        if len(set(bare)) < len(bare) or clash or {"b", "B"} <= set(bare):
            raise ConfigError(f"template {self.template!r}: {self._form!r} tells one thing twice")
        has = set(bare)
        if self._forms and not has & set(_EPOCHS) and not (
            has & {"Y", "y"} and ("j" in has or ("d" in has and has & {"m", "b", "B"}))
        ):  # fmt: skip
            raise ConfigError(
                f"template {self.template!r}: {self._form!r} tells no day; wanted %Y (or %y), and %m (or %b, %B) and "
                "%d (or %j), or epoch or epoch_ms"
            )
        if ("I" in has) != ("p" in has):
            raise ConfigError(f"template {self.template!r}: of %I and %p each needs the other; 24 hours are %H")
        for one, after in zip(self._tokens, self._tokens[1:], strict=False):
            if one.kind in _UNPADDED and (after.kind in _UNPADDED or after.kind in _NUMBER or after.kind in _PLAIN):
                raise ConfigError(f"template {self.template!r}: %{one.kind} has to end before another number begins")
        if len(set(zones)) > 1 or (zones and has & {*_EPOCHS, "z"}):
            raise ConfigError(f"template {self.template!r}: {self._form!r} tells its zone twice")
        if not zones or zones[0] == LOCAL:
            return zones[0] if zones else ""
        try:
            check_zone(zones[0])
        except ValueError as error:
            raise ConfigError(f"template {self.template!r}: {error}") from error
        return zones[0]

    def _reading(self, path: str, found: _Found, *, times: bool) -> Reading:
        said: dict[str, str] = {}
        start: list[str] = []
        for at, begin, end in found:
            token, text = self._tokens[at], path[begin:end]
            if token.start:
                start.append(text)
            if token.kind != "text":
                said[token.kind.removeprefix("-")] = text
        told = None
        if start and times:
            try:
                told = _told(said, self._zone)
            except ValueError as error:
                text = "".join(start)
                raise ClipError("name", f"the start time {text!r} cannot be read as {self._form!r}: {error}") from error
        return Reading(said.get("camera"), told, int(said["number"]) if "number" in said else None)


class NoFit(ClipError):  # noqa: N818 - a ClipError, as all of them
    """A path that fits no template: nothing is said by it."""


class _Reader:
    """Finds every way in which tokens fit one path."""

    def __init__(self, tokens: Sequence[_Token], path: str) -> None:
        self._tokens, self._path, self._n = tokens, path, len(path)
        # Of two ways that differ in nothing that is said one is kept; the rest of a path is read once.
        self._tails = cache(self._read)

    def found(self) -> set[_Found]:
        """Return them."""
        begins = [0, *(at + 1 for at, char in enumerate(self._path) if char == "/")]
        return {way for begin in begins for way in self._tails(0, begin)}

    def _read(self, at: int, begin: int) -> frozenset[_Found]:
        if at == len(self._tokens):
            return frozenset([()]) if begin == self._n else frozenset()
        token = self._tokens[at]
        ways: set[_Found] = set()
        for end in self._ends(at, begin):
            said = () if token.kind in {"any", "part", "digits", "ext"} else ((at, begin, end),)
            tails = self._tails(at + 1, end)
            ways |= {said + tail for tail in tails} if said and (token.kind != "text" or token.start) else tails
            if tails and len(token.patterns) > 1:
                break
            if len(ways) > _MOST:
                raise ClipError("name", f"the path fits the template in more than {_MOST} ways; make it say more")
        return frozenset(ways)

    def _ends(self, at: int, begin: int) -> Iterator[int]:
        """Yield where the token may end that begins there."""
        token, path = self._tokens[at], self._path
        if token.kind == "text":
            end = begin + len(token.text)
            there = path[begin:end]
            if (there.lower() if token.caseless else there) == token.text:
                yield end
        elif token.patterns:
            for pattern in token.patterns:
                if found := pattern.match(path, begin):
                    yield found.end()
        else:
            last = self._n if token.kind == "any" else path.find("/", begin) % (self._n + 1)
            after = self._tokens[at + 1] if at + 1 < len(self._tokens) else None
            first = begin + (token.kind == "camera")
            if after is None:
                if last == self._n and first <= last:
                    yield last
            elif after.kind == "text" and not after.caseless:
                end = path.find(after.text, first, last + len(after.text))
                while end >= 0:
                    yield end
                    end = path.find(after.text, end + 1, last + len(after.text))
            else:
                yield from range(first, last + 1)


def _quick(token: _Token) -> str:
    """Return a pattern that fits at least what the token does: most paths that do not fit are told at once."""
    if token.kind == "text":
        return f"(?i:{re.escape(token.text)})" if token.caseless else re.escape(token.text)
    if token.patterns:
        return f"(?:{'|'.join(pattern.pattern for pattern in token.patterns)})"
    return {"any": ".*?", "part": "[^/]*?", "camera": "[^/]+?"}[token.kind]


def _told(said: dict[str, str], zone: str) -> Told:
    """Return the time that directives say. Raises ValueError when it is none."""
    for epoch, unit in _EPOCHS.items():
        if epoch in said:
            whole, _, decimals = said[epoch].partition(".")
            return Told(checked_instant(int(whole) * unit + int(decimals.ljust(9, "0"))), "UTC")
    day = _day(said)
    hour = int(said.get("H", "0"))
    if "I" in said:
        if not 1 <= int(said["I"]) <= 12:
            raise ValueError(f"wanted an hour from 1 to 12, got {said['I']}")
        hour = int(said["I"]) % 12 + 12 * ("p" in said["p"].lower())
    when = datetime(day.year, day.month, day.day, hour, int(said.get("M", "0")), int(said.get("S", "0")))  # noqa: DTZ001
    wall_ns = (when - datetime(1970, 1, 1)) // timedelta(seconds=1) * NS  # noqa: DTZ001 - of a zone told apart
    wall_ns += int(said.get("f", "0").ljust(9, "0"))
    if "z" not in said:
        return Told(checked_instant(wall_ns), zone)
    return Told(checked_instant(wall_ns - _offset_s(said["z"]) * NS), "UTC")


def _day(said: dict[str, str]) -> date:
    year = int(said["Y"]) if "Y" in said else int(said["y"]) + (2000 if int(said["y"]) < 69 else 1900)
    if "j" in said:
        day = date(year, 1, 1) + timedelta(days=int(said["j"]) - 1)
        if day.year != year:
            raise ValueError(f"the year has no day {said['j']}")
        return day
    name = said.get("b") or said.get("B")
    months = [month[:3].lower() for month in _MONTHS]
    month = months.index(name[:3].lower()) + 1 if name else int(said["m"])
    return date(year, month, int(said["d"]))


def _offset_s(text: str) -> int:
    found = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{1,2})[:._-]?(\d{2})?", text)
    if found is None:
        return 0
    minutes = int(found[2]) * 60 + int(found[3] or "0")
    if minutes >= 24 * 60 or int(found[3] or "0") > 59:
        raise ValueError(f"wanted an offset of less than a day from UTC, got {text}")
    return minutes * (-60 if found[1] == "-" else 60)
