"""A dispatch feed's bytes as entries: JSON lines, a JSON list, CSV, each also gzipped; one in memory at a time.

Whatever is wrong is told as the name of a rule, and never with what stood there.
"""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

GARBAGE: Final = "garbage"
TOO_LARGE: Final = "entry size"
TOO_MUCH: Final = "reading size"

Found: TypeAlias = Mapping[str, Any] | str
"""An entry, or the rule by which what stood there is none."""

_WHOLE: Final = 8 << 20  # bytes of a JSON document that is no list: it is read whole
_LISTS: Final = ("features", "data", "calls", "incidents", "events", "results", "records", "items")
_PIECE: Final = 1 << 16
_FLAWS: Final = 1000  # after so many in a row it is no feed


class _TooMuch(Exception):  # noqa: N818 - named for what is the matter
    """More came than is read."""


def unpacked(chunks: Iterable[bytes], *, most: int) -> Iterator[bytes]:
    """Yield the bytes of chunks, of gzip what it holds, in pieces of at most 64 KiB.

    Raises _TooMuch after `most` bytes, ValueError for gzip that is damaged.
    """
    packed: Any = None
    given, first = 0, b""
    for chunk in chunks:
        if packed is None:
            first += chunk
            if len(first) < 2:
                continue
            packed = zlib.decompressobj(wbits=31) if first.startswith(b"\x1f\x8b") else False
            chunk, first = first, b""  # noqa: PLW2901
        for piece in _pieces(packed, chunk):
            given += len(piece)
            if given > most:
                raise _TooMuch
            yield piece
    if first:
        yield first
    if packed and not packed.eof:
        raise ValueError("the gzip ends too early")


def _pieces(packed: Any, chunk: bytes) -> Iterator[bytes]:  # noqa: ANN401 - zlib does not name it
    if not packed:
        for at in range(0, len(chunk), _PIECE):
            yield chunk[at : at + _PIECE]
        return
    try:
        while chunk and not packed.eof:
            if piece := packed.decompress(chunk, _PIECE):
                yield piece
            chunk = packed.unconsumed_tail
    except zlib.error:
        raise ValueError("the gzip is damaged") from None


def entries(chunks: Iterable[bytes], *, most: int, most_entry: int) -> Iterator[Found]:
    """Yield the entries of a feed, in order, and for what is none the rule by which it is dropped.

    most: bytes read, unpacked; most_entry: of one entry. Reading ends at the first thing after which nothing can be
    told apart any more.
    """
    try:
        pieces = unpacked(chunks, most=most)
        head = b""
        for piece in pieces:
            head += piece
            if head.lstrip(b"\xef\xbb\xbf \t\r\n"):
                break
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not start:
            return
        rest = _after(start, pieces)
        if start[:1] == b"[":
            yield from _listed(rest, most_entry)
        elif start[:1] == b"{":
            yield from _objects(rest, most_entry)
        else:
            yield from _rows(rest, most_entry)
    except _TooMuch:
        yield TOO_MUCH
    except (ValueError, csv.Error):
        yield GARBAGE


def _after(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _lines(pieces: Iterable[bytes], most_entry: int) -> Iterator[bytes | None]:
    """Yield lines without their ends, None for each that is too long; such a one is never held whole."""
    held, skipping = bytearray(), False
    for piece in pieces:
        *done, last = piece.split(b"\n")
        for line in done:
            whole = bytes(held) + line
            held.clear()
            if skipping or len(whole) > most_entry:
                yield None
            else:
                yield whole
            skipping = False
        if not skipping:
            held += last
        if len(held) > most_entry:
            held.clear()
            skipping = True
    if skipping:
        yield None
    elif held:
        yield bytes(held)


def _objects(pieces: Iterator[bytes], most_entry: int) -> Iterator[Found]:
    """Yield JSON lines; where the first line is no object by itself, the entries of one document."""
    lines = _lines(pieces, max(most_entry, _WHOLE))
    first = next(lines, None)
    if first is None:
        yield TOO_LARGE
        return
    found = _parsed(first)
    if isinstance(found, dict) and not any(isinstance(found.get(name), list) for name in _LISTS):
        yield found
        for line in lines:
            if line is None or len(line) > most_entry:
                yield TOO_LARGE
            elif line.strip():
                other = _parsed(line)
                yield other if isinstance(other, dict) else GARBAGE
        return
    if not isinstance(found, dict):
        whole = bytearray(first)
        for line in lines:
            whole += b"\n" + (line or b"")
            if line is None or len(whole) > _WHOLE:
                yield TOO_LARGE
                return
        found = _parsed(bytes(whole))
    yield from _inside(found)


def _inside(found: Any) -> Iterator[Found]:  # noqa: ANN401 - a parsed document
    listed = next((found[name] for name in _LISTS if isinstance(found.get(name), list)), None) if found else None
    if not isinstance(listed, list):
        yield found if isinstance(found, dict) else GARBAGE
        return
    for one in listed:
        yield one if isinstance(one, dict) else GARBAGE


def _listed(pieces: Iterator[bytes], most_entry: int) -> Iterator[Found]:
    """Yield the entries of a JSON list, each parsed by itself as it comes."""
    decoder, text, at = json.JSONDecoder(), "", 1
    decode = _decoded(pieces)
    text = next(decode, "")
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if at < len(text) and text[at] == "]":
            return
        try:
            if at >= len(text):
                raise ValueError("more is needed")  # noqa: TRY301 - as what the decoder says
            found, at = decoder.raw_decode(text, at)
        except RecursionError:
            yield GARBAGE
            return
        except ValueError:
            more = next(decode, None)
            text, at = text[at:] + (more or ""), 0
            if more is None or len(text) > most_entry + _PIECE:
                yield TOO_LARGE if more is not None else GARBAGE
                return
            continue
        yield found if isinstance(found, dict) else GARBAGE


def _decoded(pieces: Iterable[bytes]) -> Iterator[str]:
    import codecs  # noqa: PLC0415 - of a JSON list alone

    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        yield decoder.decode(piece)


def _parsed(line: bytes) -> Any:  # noqa: ANN401 - a parsed document
    try:
        return json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _rows(pieces: Iterator[bytes], most_entry: int) -> Iterator[Found]:
    """Yield the rows of a CSV by their columns' names; a row over several lines is one too."""
    skipped: list[str] = []

    def texts() -> Iterator[str]:
        for line in _lines(pieces, most_entry):
            if line is None:
                skipped.append(TOO_LARGE)
            else:
                yield line.removesuffix(b"\r").decode("utf-8", "replace").replace("\0", "\ufffd") + "\n"

    source = texts()
    head = next(source, "")
    delimiter = max(",;\t", key=head.count)
    columns = next(csv.reader([head], delimiter=delimiter), [])
    if len(columns) < 3:
        yield GARBAGE
        return
    rows, flaws = csv.reader(source, delimiter=delimiter), 0
    while flaws < _FLAWS:
        try:
            cells = next(rows, None)
        except csv.Error:  # a quote that nobody closes takes all that follows into one cell
            yield GARBAGE
            flaws += 1
            rows = csv.reader(source, delimiter=delimiter)
            continue
        yield from skipped
        skipped.clear()
        if cells is None:
            return
        if cells and len(cells) != len(columns):
            yield GARBAGE
            flaws += 1
        elif cells:
            yield dict(zip(columns, cells, strict=True))
            flaws = 0
