"""NAL units of H.264 and HEVC: taken apart, told apart, and their parameter sets given other numbers.

After ISO/IEC 14496-10 (H.264), 23008-2 (HEVC) and 14496-15 (how an MP4 keeps them). Nothing is decoded.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

Coding: TypeAlias = Literal["h264", "hevc"]

_HEVC_EOS: Final = b"\x48\x01"
_NINE_BITS: Final = 15  # ue(15) is nine bits long, ue(0) one: what follows keeps its place in its byte


@dataclass(frozen=True, slots=True)
class _Kinds:
    """The numbers of a coding's units: those that pictures are made of, parameter sets, and slices."""

    kept: frozenset[int]
    sets: tuple[int, ...]
    slices: range
    clean: frozenset[int]


# The same that `clean.ONLY_PICTURES` lets pass. clean: nothing that is shown after such a picture leans on what was
# before it. A recovery point of H.264 is none: pictures after it may, and its decoder has to find it in an SEI.
_KINDS: Final[dict[Coding, _Kinds]] = {
    "h264": _Kinds(frozenset({1, 2, 3, 4, 5, 7, 8, 10}), (7, 8), range(1, 6), frozenset({5})),
    "hevc": _Kinds(
        frozenset({*range(10), *range(16, 22), 32, 33, 34, 36, 37}),
        (32, 33, 34),
        range(32),
        frozenset(range(16, 22)),
    ),
}
# Profiles of H.264 whose SPS says how chroma is sampled; the others know 4:2:0 of 8 bits alone.
_WITH_CHROMA: Final = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244})
_CLOSED: Final = frozenset({5, 19, 20})  # IDR: also for a decoder that is in the middle of a sequence


# The heads of slices of the one layer, how long they are and the kind of each: no part of a slice, nothing forbidden.
_HEADS: Final[dict[Coding, tuple[int, dict[bytes, int]]]] = {
    "h264": (1, {bytes([importance << 5 | kind]): kind for importance in range(4) for kind in (1, 5)}),
    "hevc": (2, {bytes([kind << 1, late]): kind for kind in (*range(10), *range(16, 22)) for late in range(1, 8)}),
}


class Key(NamedTuple):
    """Which parameter set: the number of its kind of unit, and its own."""

    kind: int
    number: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a stream's description says (avcC, hvcC, or units with start codes): its parameter sets, in order.

    length: bytes of the number before each unit of a packet; 0 where units have start codes. more: whether it holds
    other units as well.
    """

    coding: Coding
    sets: tuple[bytes, ...]
    length: int
    more: bool = False

    @classmethod
    def read(cls, coding: Coding, extradata: bytes) -> Header:
        """Read a description. Raises ValueError where it cannot be one."""
        if extradata[:1] != b"\x01" or len(extradata) < 7:
            units = tuple(split(extradata, 0))
            stated = tuple(unit for unit in units if kind_of(coding, unit) in _KINDS[coding].sets)
            return cls(coding, stated, 0, more=stated != units)
        found: list[bytes] = []
        try:
            if coding == "h264":
                length, at = (extradata[4] & 3) + 1, 5
                for mask in (31, 255):
                    many, at = extradata[at] & mask, at + 1
                    at = _take(extradata, at, many, found)
            else:
                length, at = (extradata[21] & 3) + 1, 23
                for _ in range(extradata[22]):
                    many = int.from_bytes(extradata[at + 1 : at + 3])
                    at = _take(extradata, at + 3, many, found)
        except IndexError as error:
            raise ValueError(f"the description of its {coding} cannot be read") from error
        kept = tuple(_plain(unit) for unit in found if kind_of(coding, unit) in _KINDS[coding].sets)
        return cls(coding, kept, length, more=len(kept) < len(found))

    @property
    def by_key(self) -> dict[Key, bytes]:
        """The sets by their kind and number. Raises ValueError where one cannot be read."""
        return {key_of(self.coding, unit): unit for unit in self.sets}


class Taken(NamedTuple):
    """A packet taken apart: its units as an MP4 has them, the sets in it, and what kind of picture it is.

    clean: all that is shown after it can be decoded from it on. open: clean, and yet a decoder takes it for the
    beginning of a sequence only where the one before has ended (CRA). plain: it is made of slices alone, of which
    ffmpeg's filters change nothing. held: whether `data` are its units; of a long passage it is their SHA-256 alone.
    """

    data: bytes
    sets: tuple[bytes, ...]
    clean: bool
    open: bool
    plain: bool
    held: bool = True

    @property
    def digest(self) -> bytes:
        """The SHA-256 of its units."""
        return hashlib.sha256(self.data).digest() if self.held else self.data

    def sealed(self) -> Taken:
        """Return it without its units, which are known by their digest."""
        return self._replace(data=self.digest, held=False)

    def same(self, other: Taken) -> bool:
        """Tell whether both have the same units, byte for byte."""
        return self.data == other.data if self.held and other.held else self.digest == other.digest


def take_apart(header: Header, packet: bytes, *, only_pictures: bool) -> Taken:
    """Take a packet apart; only_pictures: leave out what may not leave. Raises ValueError."""
    coding, kinds = header.coding, _KINDS[header.coding]
    size, plain = _HEADS[coding]
    first = plain.get(packet[4 : 4 + size])
    # Most packets are one slice.
    if first is not None and header.length == 4 and int.from_bytes(packet[:4]) == len(packet) - 4 and packet[-1]:
        return Taken(packet, (), first in kinds.clean, first in kinds.clean - _CLOSED, plain=True)
    units = [(kind_of(coding, unit), unit) for unit in split(packet, header.length)]
    kept = [(kind, unit) for kind, unit in units if not only_pictures or kind in kinds.kept]
    # Of H.264 the second field of a clean picture may be another kind.
    begun = next((kind for kind, _ in kept if kind in kinds.slices), None)
    return Taken(
        joined(unit for _, unit in kept),
        tuple(unit for kind, unit in kept if kind in kinds.sets),
        begun in kinds.clean,
        begun in kinds.clean - _CLOSED,
        plain=all(unit[:size] in plain for _, unit in kept),
    )


def notes_of(coding: Coding, packet: bytes, length: int) -> frozenset[int]:
    """Return the types of the SEI messages of a packet (H.264 7.3.2.3, HEVC 7.3.5). Raises ValueError."""
    found = set[int]()
    head, kinds = (2, {39, 40}) if coding == "hevc" else (1, {6})
    for unit in split(packet, length):
        if kind_of(coding, unit) in kinds:
            data, at = unit.replace(b"\x00\x00\x03", b"\x00\x00"), head
            while at + 2 < len(data):
                kind, at = _summed(data, at)
                size, at = _summed(data, at)
                found.add(kind)
                at += size
    return frozenset(found)


def _summed(data: bytes, at: int) -> tuple[int, int]:
    """Read a number that is written as bytes of 255 and the rest; returns it and where it ends."""
    end = at
    while data[end : end + 1] == b"\xff":
        end += 1
    return 255 * (end - at) + int.from_bytes(data[end : end + 1]), end + 1


def split(data: bytes, length: int) -> Iterator[bytes]:
    """Yield the units of a packet, without zeros that trail them; length: see `Header`. Raises ValueError."""
    if not length:
        for piece in re.split(rb"\x00\x00\x01", data)[1:]:
            if unit := piece.rstrip(b"\x00"):
                yield unit
        return
    at, end = 0, len(data)
    while at < end:
        size = int.from_bytes(data[at : at + length])
        at += length
        if size > end - at:
            raise ValueError(f"a unit of {size} bytes, {end - at} are left of its packet")
        if unit := data[at : at + size].rstrip(b"\x00"):
            yield unit
        at += size


def joined(units: Iterable[bytes]) -> bytes:
    """Return units as a packet of an MP4, each after its length in four bytes."""
    return b"".join(len(unit).to_bytes(4) + unit for unit in units)


def kind_of(coding: Coding, unit: bytes) -> int:
    """Return the number of a unit's kind."""
    return unit[0] >> 1 & 63 if coding == "hevc" else unit[0] & 31


def key_of(coding: Coding, unit: bytes) -> Key:
    """Return which parameter set a unit is. Raises ValueError for one that cannot be read."""
    kind, bits = kind_of(coding, unit), _Bits(unit)
    bits.skip(16 if coding == "hevc" else 8)
    if kind == 32:
        return Key(kind, bits.take(4))
    if kind == 33:
        _skip_to_number(bits)
    elif kind == 7:
        bits.skip(24)
    return Key(kind, bits.number())


class Sampling(NamedTuple):
    """What an SPS of H.264 says of its pictures: the number of its chroma format, and the bits of luma and chroma.

    references: how many pictures others may lean on at a time.
    """

    chroma: int
    luma_bits: int
    chroma_bits: int
    references: int


def sampling_of(sps: bytes) -> Sampling:
    """Read an SPS of H.264 (7.3.2.1.1) up to the number of its reference pictures. Raises ValueError."""
    bits = _Bits(sps)
    bits.skip(8)
    profile = bits.take(8)
    bits.skip(16)
    bits.number()
    chroma, luma_bits, chroma_bits = 1, 8, 8
    if profile in _WITH_CHROMA:
        chroma = bits.number()
        bits.skip(chroma == 3)
        luma_bits, chroma_bits = 8 + bits.number(), 8 + bits.number()
        bits.skip(1)
        if bits.take(1):
            for size in [16] * 6 + [64] * (6 if chroma == 3 else 2):
                _skip_scaling(bits, size)
    bits.number()
    order = bits.number()
    if order == 0:
        bits.number()
    elif order == 1:
        bits.skip(1)
        many = [bits.number() for _ in range(3)][2]
        for _ in range(min(many, 255)):
            bits.number()
    return Sampling(chroma, luma_bits, chroma_bits, bits.number())


def profile_of(sps: bytes) -> tuple[int, int, int]:
    """Return the profile, constraints and level that a sequence parameter set of H.264 states."""
    plain = sps[:5].replace(b"\x00\x00\x03", b"\x00\x00")
    if len(plain) < 4:
        raise ValueError("a sequence parameter set that ends in its profile")
    return plain[1], plain[2], plain[3]


def free_number(coding: Coding, taken: Iterable[Key]) -> int:
    """Return a number that no parameter set has, for those of another encoder. Raises ValueError where none is left.

    Of HEVC it is 15 alone: see `renumbered`.
    """
    used = {key.number for key in taken}
    free = [number for number in (range(1, 32) if coding == "h264" else (_NINE_BITS,)) if number not in used]
    if not free:
        raise ValueError("its parameter sets have all the numbers there are")
    return free[0]


def renumbered(unit: bytes) -> bytes:
    """Give an HEVC unit the numbers 15 in place of 0: a parameter set its own and those it names, a slice its PPS's.

    A 0 is one bit and a 15 nine, so all that follows moves by one byte and stays as it is. Raises ValueError for a unit
    that names another number than 0.
    """
    kind = unit[0] >> 1 & 63
    data, bits = unit.replace(b"\x00\x00\x03", b"\x00\x00"), _Bits(unit)
    bits.skip(16)
    if kind == 32:
        changed = data[:2] + bytes([_NINE_BITS << 4 | data[2] & 15]) + data[3:]
        return _escaped(changed)
    places: list[int]
    if kind == 33:
        data = data[:2] + bytes([_NINE_BITS << 4 | data[2] & 15]) + data[3:]
        _skip_to_number(bits)
        places = [bits.at]
    elif kind == 34:
        places = [bits.at, bits.at + 1]
    elif kind < 32:
        bits.skip(1)
        if 16 <= kind <= 23:
            bits.skip(1)
        places = [bits.at]
    else:
        return unit
    for place in reversed(places):
        data = _wider(data, place)
    return _escaped(data)


def ended(units: Iterable[bytes]) -> list[bytes]:
    """Return the units of a packet of HEVC and the end of its sequence."""
    return [*units, _HEVC_EOS]


def avcc(header: Header, more: Iterable[bytes]) -> bytes:
    """Return an AVCDecoderConfigurationRecord (14496-15, 5.3.3.1) of a stream's sets and those of another encoder.

    Profile and level are the highest of all. Raises ValueError for more sets than it can hold.
    """
    sets = [*header.sets, *more]
    sequences = [unit for unit in sets if unit[0] & 31 == 7]
    pictures = [unit for unit in sets if unit[0] & 31 == 8]
    if not sequences or not pictures or len(sequences) > 31 or len(pictures) > 255:
        raise ValueError(f"{len(sequences)} SPS and {len(pictures)} PPS do not stand in one description")
    profiles = [profile_of(unit) for unit in sequences]
    shared, level = 255, 0
    for _, constraints, high in profiles:
        shared, level = shared & constraints, max(level, high)
    profile = max(profile for profile, _, _ in profiles)
    record = bytes([1, profile, shared, level, 0xFF, 0xE0 | len(sequences)])
    record += b"".join(struct.pack(">H", len(unit)) + unit for unit in sequences)
    record += bytes([len(pictures)]) + b"".join(struct.pack(">H", len(unit)) + unit for unit in pictures)
    if profile in {100, 110, 122, 144}:
        chroma, luma_bits, chroma_bits, _ = sampling_of(sequences[0])
        record += bytes([0xFC | chroma, 0xF8 | luma_bits - 8, 0xF8 | chroma_bits - 8, 0])
    return record


def hvcc(header: Header, more: Iterable[bytes]) -> bytes:
    """Return an HEVCDecoderConfigurationRecord (14496-15, 8.3.3.1) of a stream's sets and those of another encoder.

    It states what the first sequence parameter set states, and the highest level of all. Raises ValueError for no sets.
    """
    sets = [*header.sets, *more]
    sequences = [unit.replace(b"\x00\x00\x03", b"\x00\x00") for unit in sets if kind_of("hevc", unit) == 33]
    if not sequences or len(sequences[0]) < 15:
        raise ValueError("its description holds no parameter sets")
    first = sequences[0]
    layers, nested = first[2] >> 1 & 7, first[2] & 1
    chroma, luma_bits, chroma_bits = depths_of(first)
    record = b"\x01" + first[3:14] + bytes([max(unit[14] for unit in sequences)])
    record += bytes([0xF0, 0, 0xFC, 0xFC | chroma, 0xF8 | luma_bits - 8, 0xF8 | chroma_bits - 8, 0, 0])
    record += bytes([layers + 1 << 3 | nested << 2 | 3, 3])
    for kind in (32, 33, 34):
        units = [unit for unit in sets if kind_of("hevc", unit) == kind]
        record += bytes([0x80 | kind]) + struct.pack(">H", len(units))
        record += b"".join(struct.pack(">H", len(unit)) + unit for unit in units)
    return record


def depths_of(sps: bytes) -> tuple[int, int, int]:
    """Return the chroma format and the bits of luma and chroma that an SPS of HEVC (7.3.2.2) states."""
    bits = _Bits(sps)
    bits.skip(16)
    _skip_to_number(bits)
    bits.number()
    chroma = bits.number()
    bits.skip(chroma == 3)
    for _ in range(2):
        bits.number()
    if bits.take(1):
        for _ in range(4):
            bits.number()
    return chroma, 8 + bits.number(), 8 + bits.number()


def _plain(unit: bytes) -> bytes:
    return unit.rstrip(b"\x00")


def _take(data: bytes, at: int, many: int, found: list[bytes]) -> int:
    """Take `many` units with lengths in two bytes, and return where they end."""
    for _ in range(many):
        size = int.from_bytes(data[at : at + 2])
        at += 2
        if not size or at + size > len(data):
            raise IndexError(at)
        found.append(data[at : at + size])
        at += size
    return at


def _skip_to_number(bits: _Bits) -> None:
    """Go from the head of an HEVC sequence parameter set to its own number (7.3.2.2, 7.3.3)."""
    bits.skip(4)
    layers = bits.take(3)
    bits.skip(1 + 96)
    told = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.skip(2 * (8 - layers))
    for profile, level in told:
        bits.skip(88 * profile + 8 * level)


def _skip_scaling(bits: _Bits, size: int) -> None:
    """Go over one scaling list, if it is there (7.3.2.1.1.1)."""
    if not bits.take(1):
        return
    last = following = 8
    for _ in range(size):
        if following:
            code = bits.number()
            following = (last + (code + 1 >> 1 if code & 1 else -(code >> 1)) + 256) % 256
        last = following or last


def _wider(data: bytes, place: int) -> bytes:
    """Write nine bits, ue(15), in place of the one bit ue(0) at a place of bits."""
    at, shift = divmod(place, 8)
    if not data[at] >> 7 - shift & 1:
        raise ValueError("it names a parameter set other than 0")
    before = data[at] >> 8 - shift << 8 - shift if shift else 0
    after = data[at] & (1 << 7 - shift) - 1
    # 0000 1000 0 from the place on, then what stood behind it, a byte later.
    word = before << 8 | 0b000010000 << 7 - shift | after
    return data[:at] + word.to_bytes(2) + data[at + 1 :]


def _escaped(data: bytes) -> bytes:
    return re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", data)


class _Bits:
    """Reads the head of a unit bit by bit, without its emulation prevention."""

    def __init__(self, unit: bytes) -> None:
        data = unit[:256].replace(b"\x00\x00\x03", b"\x00\x00")
        self._value, self._size, self.at = int.from_bytes(data), 8 * len(data), 0

    def skip(self, bits: int) -> None:
        self.at += bits

    def take(self, bits: int) -> int:
        self.at += bits
        if self.at > self._size:
            raise ValueError("a parameter set that ends too early")
        return self._value >> self._size - self.at & (1 << bits) - 1

    def number(self) -> int:
        """Read an unsigned Exp-Golomb code (9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 31:
                raise ValueError("a number of a parameter set that has no end")
        return (1 << zeros) - 1 + self.take(zeros)
