"""A clip of 100 MB to a sealed package, by station: `python -m benchmarks.seal` (two minutes), `--quick` (10 MB).

What a package costs beside the cut that it holds, in processor time of this process and of the programs that it runs,
which a busy machine does not change. The clip is of 1080p, the cut begins two seconds into a group of four, so that its
first frames are encoded; the same from a keyframe on stands beside it. Hashing is that of all files and of the lists.
The package is checked before a time is believed. Target: signing, hashing and content credentials together cost at most
15 % of the cutting.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.stages import cpu_s, lengthen
from pipeline.clip import Clip
from pipeline.evidence import bag, sshsig
from pipeline.evidence.credentials import check_credentials, make_credentials
from pipeline.evidence.keys import Purpose, Signer
from pipeline.evidence.manifest import File, Part
from pipeline.media.copies import look_through
from pipeline.media.cut import Cut, make_cut
from pipeline.media.decode import open_video
from pipeline.media.encode import encode
from pipeline.media.profile import Profile
from pipeline.span import NS, Span
from simulation.scene import Scene, render

_START_NS = 1_767_225_600 * NS  # 2026-01-01
_RATE, _GROUP_S = 30, 4
_BUSY = {"preset": "veryfast", "qp": "6", "bf": "2", "sc_threshold": "0"}  # as large as from a sharp camera at night
_ABOUT = {
    "Source-Organization": "Lamplighter",
    "External-Identifier": "r0",
    "Bagging-Date": "2026-01-01",
    "Bag-Software-Agent": "benchmark",
}
COLUMNS = {
    "what": "cut",
    "megabytes": "MB",
    "frames": "frames",
    "cut_s": "cutting (s)",
    "stills_s": "stills (s)",
    "credentials_s": "credentials (s)",
    "hash_s": "hashing (s)",
    "sign_s": "signing (s)",
    "of_cut": "the last three, of cutting",
}


class Stations:
    """Processor seconds by station, those of programs that were waited for too."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Count what is spent inside to a station."""
        before = cpu_s()
        yield
        self.spent[name] = self.spent.get(name, 0.0) + cpu_s() - before


def film(folder: Path, size: int) -> Clip:
    """Write a film that a cut of whole groups makes `size` bytes of, and two groups more."""
    short, path = folder / "short.mp4", folder / "film.mp4"
    scene = Scene(1, frames=2 * _GROUP_S * _RATE, width=1920, height=1080)
    encode(short, render(scene), rate=Fraction(_RATE), gop=_GROUP_S * _RATE, codec="libx264", options=_BUSY)
    seconds = -(-size * 2 * _GROUP_S // short.stat().st_size)
    lengthen(short, path, seconds + 2 * _GROUP_S)
    with open_video(path) as video:
        for _ in video.luma():
            pass
        return Clip("bench", _START_NS, "0" * 64, path.stat().st_size, str(path), video.stream)


def sealed(clip: Clip, folder: Path, *, late_s: int, size: int) -> report.Row:
    """Cut a clip, make a package of it, and return what each station took."""
    source, name, stations, signer = Path(clip.key), "ab" * 16, Stations(), Signer.make(Purpose.EVIDENCE, 1)
    path, sidecar = bag.path_of(Part.ORIGINAL, name), bag.path_of(Part.CREDENTIALS, name)
    target = folder / path
    target.parent.mkdir(parents=True)
    begin = clip.start_ns + (_GROUP_S + late_s) * NS
    length_s = int(size / clip.size * clip.span.duration_ns / NS) // _GROUP_S * _GROUP_S
    with stations.at("cut"):
        product = make_cut(source, target, Cut("r0", clip, Span(begin, begin + length_s * NS), Profile()), name=name)
    facts: dict[str, Any] = {"actual": str(product.actual), "frames": product.frames, "method": product.method}
    with stations.at("stills"):
        seen = look_through(target, frames=product.frames)
        stills = {bag.path_of(Part.STILL, f"{name}-{one.number:06d}"): one.png for one in seen.stills}
        for still, data in stills.items():
            (folder / still).parent.mkdir(parents=True, exist_ok=True)
            (folder / still).write_bytes(data)
    with stations.at("credentials"):
        make_credentials(target, folder / sidecar, {"clip": name, **facts}, signer, program="benchmark")
    with stations.at("hash"):
        parts = {path: Part.ORIGINAL, sidecar: Part.CREDENTIALS, **dict.fromkeys(stills, Part.STILL)}
        files = tuple(_hashed(folder, one, part, name) for one, part in sorted(parts.items()))
        tagged = bag.seal(folder, files, tags={}, about=_ABOUT)
    with stations.at("sign"):
        (folder / bag.SIGNATURE).write_text(sshsig.sign(tagged, signer), encoding="ascii")
    if check_credentials(target, folder / sidecar, [signer.key]) or files[0].sha256 not in (
        folder / bag.PAYLOAD
    ).read_text(encoding="ascii"):
        raise SystemExit("the package is not sound: its times mean nothing")
    sshsig.verify((folder / bag.SIGNATURE).read_text(encoding="ascii"), tagged, [signer.key])
    spent = stations.spent
    row: report.Row = {f"{station}_s": round(seconds, 2) for station, seconds in spent.items()}
    share = (spent["credentials"] + spent["hash"] + spent["sign"]) / spent["cut"]
    row |= {"what": product.method, "megabytes": round(product.size / 1e6, 1), "frames": product.frames}
    return report.against(row | {"of_cut": round(share, 3)}, "of_cut", at_most=0.15)


def _hashed(folder: Path, path: str, part: Part, clip: str) -> File:
    with (folder / path).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return File(path, sha256, (folder / path).stat().st_size, part, clip)


def main() -> None:
    """Measure, write JSON, draw."""
    chosen = report.options(__doc__)
    size = 10_000_000 if chosen.quick else 100_000_000
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch:
        clip = film(Path(scratch), size)
        results = [sealed(clip, Path(scratch) / f"{late_s}", late_s=late_s, size=size) for late_s in (_GROUP_S // 2, 0)]
    report.draw(report.write("seal", results, folder=chosen.out, quick=chosen.quick, columns=COLUMNS))


if __name__ == "__main__":
    main()
