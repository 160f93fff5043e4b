"""What goes with a released file in its package: stills, a copy where some player does not show it, credentials."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.evidence.credentials import make_credentials
from pipeline.evidence.keys import Signer
from pipeline.evidence.manifest import File, Part
from pipeline.media.copies import Seen, look_through, make_copy
from pipeline.span import NS, iso, parse_iso


def derive(
    folder: Path, released: File, *, place: Callable[[Part, str], str], program: str, signer: Signer | None
) -> tuple[File, ...]:
    """Make what goes with a released file that lies in `folder`, beside it; return that file and all that was made.

    released: an original, or what was covered and so has none; its facts are those of `pipeline.case.view`. place:
    where a file lies, by what it is and what it is called. Without a signer there are no credentials. All of it is made
    of the released file alone. Raises ClipError like `look_through` and `make_copy`.
    """
    path, facts = folder / released.path, released.facts
    seen = look_through(path, frames=facts["frames"])
    # What is covered left as a copy; another one of it would be no nearer to what the camera saw.
    original = released.part is Part.ORIGINAL
    files = [replace(released, facts={**facts, "copy": _copy_note(seen, original=original)})]
    if seen.wants_copy and original:
        files.append(_copy(folder, released, seen, place=place, program=program))
    files += _stills(folder, released, seen, place=place)
    if signer is not None:
        copies = [one for one in files[1:] if one.part is Part.COPY]
        files.append(_signed(folder, files[0], place(Part.CREDENTIALS, released.clip), signer, program=program))
        files += [
            _signed(
                *(folder, one, place(Part.CREDENTIALS, f"{released.clip}-copy"), signer), program=program, original=path
            )
            for one in copies
        ]
    return tuple(files)


def _copy_note(seen: Seen, *, original: bool) -> str:
    if not seen.wants_copy:
        return "None is needed: this is H.264 and AAC in one MP4, which every player shows."
    made = "One lies beside it" if original else "There is none, since this is a copy itself"
    return f"{made}: some players do not show this one, for {seen.wants_copy}."


def _copy(folder: Path, released: File, seen: Seen, *, place: Callable[[Part, str], str], program: str) -> File:
    path = place(Part.COPY, released.clip)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    start_ns = _start_ns(released.facts)
    made = make_copy(
        *(folder / released.path, folder / path, seen), start_ns=start_ns, request="copy", name=released.clip
    )
    facts = {
        "of": released.path,
        "actual": released.facts["actual"],
        "frames": made.frames,
        "method": made.method,
        "codec": made.codec,
        "width": made.width,
        "height": made.height,
        "audio": made.audio,
        "similarity": made.similarity,
        "tools": f"{program}; {made.tools}",
    }
    return File(path, made.sha256, made.size, Part.COPY, released.clip, facts)


def _stills(folder: Path, released: File, seen: Seen, *, place: Callable[[Part, str], str]) -> Iterator[File]:
    start_ns, first = _start_ns(released.facts), seen.stills[0].seconds
    for still in seen.stills:
        path = place(Part.STILL, f"{released.clip}-{still.number:06d}")
        at_ns = start_ns + math.floor((still.seconds - first) * NS)
        facts = {
            "of": released.path,
            "frame": still.number,
            "pts": still.pts,
            "time_base": str(still.time_base),
            "at": iso(at_ns),
        }
        if seen.pixel_shape not in {None, 1}:
            facts["pixel_shape"] = str(seen.pixel_shape)
        yield _written(folder, path, still.png, part=Part.STILL, clip=released.clip, facts=facts)


def _signed(folder: Path, of: File, path: str, signer: Signer, *, program: str, original: Path | None = None) -> File:
    make_credentials(
        folder / of.path, folder / path, {"clip": of.clip, **of.facts}, signer, program=program, original=original
    )
    data = (folder / path).read_bytes()
    return _written(folder, path, data, part=Part.CREDENTIALS, clip=of.clip, facts={"of": of.path})


def _written(folder: Path, path: str, data: bytes, *, part: Part, clip: str, facts: Mapping[str, Any]) -> File:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(data)
    return File(path, hashlib.sha256(data).hexdigest(), len(data), part, clip, facts)


def _start_ns(facts: Mapping[str, Any]) -> int:
    """Return the instant of the first frame."""
    return parse_iso(str(facts["actual"]).partition("/")[0])
