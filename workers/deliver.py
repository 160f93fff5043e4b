"""One clip's way out, in one process: the owner's word is read once more, then fetch, cut, put, and the record last."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.case.consent import standing
from pipeline.errors import ClipError
from pipeline.media.cut import Cut, Record, make_cut
from storage.archive import Archive, delivery_key
from workers.ingest import Context, fetch_clip
from workers.receipt import Outcome, Stopwatch


@dataclass(frozen=True, slots=True)
class DeliverJob:
    """One cut to make and deliver."""

    cut: Cut

    @property
    def name(self) -> str:
        """The clip's camera and id."""
        return f"{self.cut.clip.camera}/{self.cut.clip.id}"


def deliver(job: DeliverJob, context: Context, watch: Stopwatch) -> tuple[Outcome, Record]:
    """Deliver one cut and return its record; one delivered before is left as it is.

    Raises ClipError("consent", ...) when the bucket holds no word of the owner that lets it out, ClipError when the
    source changed or the cut cannot be made, StoreUnavailable or StoreRefused when the store is.
    """
    archive, cut = context.archive, job.cut
    with watch("record"):
        known = archive.records.get(f"{cut.request}/{cut.id}")
    if known is not None:
        return Outcome.ALREADY, known
    with watch("consent"):
        _check_consent(archive, cut)
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch:
        source, target = Path(scratch) / f"source{Path(cut.clip.key).suffix}", Path(scratch) / "cut.mp4"
        with watch("fetch"):
            fetch_clip(archive, cut.clip, source)
        with watch("cut"):
            record = make_cut(source, target, cut, key=delivery_key(cut))
        with watch("put"):
            archive.store.put(record.key, target, meta={"sha256": record.sha256})
            archive.records.put(record)
    return Outcome.DONE, record


def _check_consent(archive: Archive, cut: Cut) -> None:
    request, camera = archive.requests.get(cut.request), archive.cameras.get(cut.clip.camera)
    if request is None or camera is None:
        raise ClipError("consent", "the bucket holds no such request or camera; nothing leaves without both")
    if cut.span & request.span != cut.span or not request.area.covers(camera):
        raise ClipError("consent", "the cut is not inside the request's time and area")
    says = standing(camera, cut.clip.id, archive.decisions.get(f"{cut.request}/{camera.owner}"))
    if not says.allowed:
        raise ClipError("consent", f"{says.value}: the clip stays where it is")
