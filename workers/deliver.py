"""One clip's way out, in one process: every word is read once more from the bucket, then fetch, cut, put, record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.case.consent import standing, withheld_by
from pipeline.case.delivery import CaseKey, Delivery
from pipeline.case.released import Record, commitment
from pipeline.clip import Clip
from pipeline.errors import ClipError, DamagedDocument
from pipeline.media.cut import Cut, Product, make_cut
from pipeline.media.profile import Profile
from pipeline.span import Span
from storage.archive import Archive, clip_name, released_key
from storage.disk import scratch
from workers.ingest import Context, fetch_clip
from workers.receipt import Outcome, Stopwatch


@dataclass(frozen=True, slots=True)
class DeliverJob:
    """One cut to make and deliver: which time of which clip, for which request, looking how.

    `clip` is the name of the clip's own record: what the record says counts, whoever made the job.
    """

    request: str
    clip: str
    span: Span
    profile: Profile

    @property
    def name(self) -> str:
        """The name of the clip's record: by camera and time, for the operator alone."""
        return self.clip


def deliver(job: DeliverJob, context: Context, watch: Stopwatch) -> tuple[Outcome, Delivery]:
    """Deliver one cut and return the operator's account of it; one delivered before is left as it is.

    Raises ClipError("consent", ...) when the bucket holds no word of the owner that lets it out, ClipError when the
    clip's record or source is not what it was or the cut cannot be made, StoreUnavailable or StoreRefused when the
    store is.
    """
    archive = context.archive
    with watch("record"), _believed():
        clip = _clip(archive, job.clip)
        if job.span & clip.span is None:
            raise ClipError("consent", "the cut is not inside the request's time and area")
        if len(clip.recorded(job.span)) != 1:
            raise ClipError("cut", "the asked time is not one part that the clip recorded; deliver it by the desk")
        cut = Cut(job.request, clip, job.span, job.profile)
        known = archive.deliveries.get(f"{cut.request}/{cut.id}")
        # What was delivered and is gone is made again, under the word that holds now.
        if known is not None and archive.store.head(known.record.key) is not None:
            return Outcome.ALREADY, known
    with watch("consent"), _believed():
        _check_consent(archive, cut)
        key = archive.case_keys.get(cut.request)
    if key is None:
        raise ClipError("consent", f"request {cut.request} has no key to make names with; deliver it by the desk")
    with scratch() as folder:
        source, target = folder / f"source{Path(cut.clip.key).suffix}", folder / "cut.mp4"
        with watch("fetch"):
            fetch_clip(archive, cut.clip, source)
        with watch("cut"):
            product = make_cut(source, target, cut, name=key.name(cut.id))
        delivery = account(cut, product, key)
        # Cutting may take an hour, and an owner may change their mind in it.
        with watch("consent"), _believed():
            _check_consent(archive, cut)
        with watch("put"):
            archive.store.put(delivery.record.key, target, meta={"sha256": product.sha256})
            archive.records.put(delivery.record)
            archive.deliveries.put(delivery)
    return Outcome.DONE, delivery


def account(cut: Cut, product: Product, key: CaseKey) -> Delivery:
    """Return the operator's account of a product, with the record that the one who asked may read."""
    name, salt = key.name(cut.id), key.salt(cut.id)
    record = Record(
        request=cut.request,
        name=name,
        key=released_key(cut.request, name),
        sha256=product.sha256,
        size=product.size,
        asked=cut.span,
        actual=product.actual,
        frames=product.frames,
        method=product.method,
        source_commitment=commitment(salt, cut.clip.sha256),
        codec=product.codec,
        width=product.width,
        height=product.height,
        audio=product.audio,
        tools=product.tools,
        damaged=product.damaged,
        missing=product.missing,
        similarity=product.similarity,
    )
    return Delivery(cut.request, cut.id, cut.clip.id, cut.clip.sha256, salt, record)


def _clip(archive: Archive, name: str) -> Clip:
    """Return a clip by its own record. Raises ClipError when there is none, or it is kept under another's name."""
    ingested = archive.clips.get(name)
    if ingested is None:
        raise ClipError("record", f"there is no record {name}; `lamplighter catalog rebuild` forgets it")
    clip = ingested.clip
    # A record says under its own name whose bytes they are; its id holds camera, start and content.
    # Of the key only a suffix is not in the name; a name has dots of its own.
    if clip_name(clip) != name or not re.fullmatch(rf"{re.escape(f'clips/{name}')}(\.[^./]*)?", clip.key):
        raise ClipError("consent", f"the record {name} speaks of other bytes than its name does; nothing leaves")
    return clip


@contextmanager
def _believed() -> Iterator[None]:
    """Turn a document that cannot be believed into a clip that does not leave: it costs that clip, not the run."""
    try:
        yield
    except DamagedDocument as error:
        raise ClipError("consent", f"{error}; nothing leaves on its word") from error


def _check_consent(archive: Archive, cut: Cut) -> None:
    request, camera = archive.requests.get(cut.request), archive.cameras.get(cut.clip.camera)
    if request is None or camera is None:
        raise ClipError("consent", "the bucket holds no such request or camera; nothing leaves without both")
    if cut.span & request.span != cut.span or not request.area.covers(camera):
        raise ClipError("consent", "the cut is not inside the request's time and area")
    answers = list(archive.decisions.all(f"{cut.request}/"))
    owners = next((said for said in answers if said.owner == camera.owner), None)
    says = standing(camera, cut.clip.id, owners, withheld=withheld_by(answers))
    if not says.allowed:
        raise ClipError("consent", f"{says.value}: the clip stays where it is")
