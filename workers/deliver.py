"""One clip's way out: it is cut aside, on its owner's word; released, on their word asked for again; then handed over.

Cut and handed over are by whoever has time; released is settled in one step between, in which nobody else says anything
(storage.catalog.cases.Cases.release). What is refused before that step never leaves, what is refused after it has left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.activity import Activity
from pipeline.case.consent import Consent, Standing, disclosed
from pipeline.case.delivery import CaseKey, Delivery, kinds
from pipeline.case.released import CONSENT, OWN, Record, Timing, commitment
from pipeline.clip import Camera, Clock, Owner
from pipeline.cover import BARE, Cover
from pipeline.errors import ClipError, DamagedDocument
from pipeline.media.cut import Cut, Product, make_cut
from pipeline.media.profile import Profile
from pipeline.span import NS, Span
from storage.archive import Archive, prepared_key, released_key
from storage.contract import Head, MissingObject
from storage.scratch import scratch
from workers.ingest import Context, fetch_clip
from workers.receipt import Outcome, Stopwatch
from workers.wall import Wall, believed, clip_of


@dataclass(frozen=True, slots=True)
class DeliverJob:
    """One cut to make and set aside for release: which time of which clip, for which request, looking how, covered how.

    `clip` is the name of the clip's own record: what the record says counts, whoever made the job.
    """

    request: str
    clip: str
    span: Span
    profile: Profile
    cover: Cover = BARE

    @property
    def name(self) -> str:
        """The name of the clip's record: by camera and time, for the operator alone."""
        return self.clip


def prepare(job: DeliverJob, context: Context, watch: Stopwatch) -> tuple[Outcome, Delivery]:
    """Cut one clip aside, out of the requester's sight, and return the operator's account of it.

    One cut or released before is left as it is. Raises ClipError("consent", ...) when the bucket holds no word of the
    owner that lets it out, ClipError when the clip's record or source is not what it was or the cut cannot be made,
    StoreUnavailable or StoreRefused when the store is.
    """
    archive = context.archive
    with watch("record"), believed():
        clip, clock = clip_of(archive, job.clip)
        watch.footage_s = clip.footage_ns / NS
        if job.span & clip.span is None:
            raise ClipError("consent", "the cut is not inside the request's time and area")
        if len(clip.recorded(job.span)) != 1:
            raise ClipError("cut", "the asked time is not one part that the clip recorded; deliver it by the desk")
        cut = Cut(job.request, clip, job.span, job.profile, job.cover)
        name = f"{cut.request}/{cut.id}"
        known = archive.deliveries.get(name)
        # What was delivered and is gone is made again, under the word that holds now.
        if known is not None and handed_over(archive, known):
            return Outcome.ALREADY, known
        waits = archive.prepared.get(name)
        # What was replaced before it left is made again.
        if waits is not None and wrong_at(archive, waits.record, prepared_key(waits)) == "":
            return Outcome.ALREADY, waits
    with watch("consent"), believed():
        _check(archive, cut)
        key = archive.case_keys.get(cut.request)
    if key is None:
        raise ClipError("consent", f"request {cut.request} has no key to make names with; deliver it by the desk")
    with scratch(need=cut.clip.size) as folder:
        source, target = folder / f"source{Path(cut.clip.key).suffix}", folder / "cut.mp4"
        with watch("fetch"):
            fetch_clip(archive, cut.clip, source)
        with watch("cut"):
            activity = _activity(archive, job.clip) if cut.cover.moving else None
            product = make_cut(source, target, cut, name=key.name(cut.id), activity=activity)
        # The account of one that was released and is gone says so: it leaves on a word that is asked for again.
        delivery = replace(account(cut, product, key, clock), word=known.word or "released before" if known else "")
        # Cutting may take an hour, and an owner may change their mind in it.
        with watch("consent"), believed():
            _check(archive, cut)
        with watch("put"):
            meanwhile = archive.deliveries.get(name)  # another run may have cut and released it in that time
            if known is None and meanwhile is not None and handed_over(archive, meanwhile):
                return Outcome.ALREADY, meanwhile
            archive.store.put(prepared_key(delivery), target, meta={"sha256": product.sha256})
            archive.prepared.put(delivery)
    return Outcome.DONE, delivery


def _activity(archive: Archive, name: str) -> Activity:
    """Return what moves in a clip, which covers it. Raises ClipError ("activity") where that cannot be read."""
    try:
        ingested = archive.clips.get(name)
        if ingested is None:
            raise ClipError("record", f"there is no record {name} any more")
        return archive.activity(ingested)
    except DamagedDocument as error:
        raise ClipError("activity", f"{error}; measure the clip again (ingest --remeasure), or cover zones") from error


def _check(archive: Archive, cut: Cut) -> Standing:
    wall = Wall(archive, cut.request)
    return wall.check(cut.clip.camera, cut.clip.id, cut.span, sound=cut.profile.audio, cover=cut.cover)


def account(cut: Cut, product: Product, key: CaseKey, clock: Clock | None = None) -> Delivery:
    """Return the operator's account of a product, with the record that the one who asked may read.

    clock: how the start of its clip is known, None where an earlier version did not say.
    """
    name, salt = key.name(cut.id), key.salt(cut.id)
    # Of sound there is none to mute where the source has none.
    muted = tuple(both for part in cut.cover.muted if product.audio and (both := part & product.actual))
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
        native=product.native,
        covered=kinds(replace(cut.cover, muted=muted)),
        muted=muted,
        timing=None if clock is None else Timing(clock.source, clock.zone, clock.offset_s, clock.known),
        hole_before=any(hole.end_ns == cut.span.start_ns for hole in cut.clip.holes),
        hole_after=any(hole.start_ns == cut.span.end_ns for hole in cut.clip.holes),
    )
    return Delivery(
        *(cut.request, cut.id, cut.clip.id, cut.clip.sha256, salt, record),
        camera=cut.clip.camera,
        why=product.why,
        cover=cut.cover,
    )


def to_release(
    archive: Archive,
    request: str,
    *,
    tick_ns: int,
    now_ns: int,
    at_once_ns: int,
    cell_m: float,
    always_ns: int,
    fresh: bool = False,
    refused: Callable[[Delivery, str], None] = lambda _, __: None,
) -> list[Delivery]:
    """Return what of the cuts set aside for a request is released now, each with its record's last facts.

    To be called where nobody else can say anything until its answer is written. What an owner said after the last
    tick, or a request sent after it, waits for the next one; a legal order, and who asks for their own footage, wait
    for none: theirs are released at `at_once_ns`, when the run began, for how long it took tells what else was cut.
    `always_ns`: how long before its end an "always" was said. `fresh`: what another run has just released, and hands
    over, is left to it: what it said of it stands. `refused` is told of the cuts that no word lets out any
    more, and why.
    """
    wall, released = Wall(archive, request, always_ns=always_ns), []
    for waits in prepared_for(archive, request):
        try:
            with believed():
                _check_place(waits)
                known = archive.deliveries.get(f"{request}/{waits.cut}")  # one that cannot be read is not written over
                if fresh and known is not None and not waits.word and known.record.sha256 == waits.record.sha256:
                    continue
                standing = wall.check(
                    *(waits.camera, waits.clip, waits.record.asked),
                    sound=waits.record.audio is not None,
                    cover=waits.cover,
                    now_ns=now_ns,
                )
                camera = wall.camera(waits.camera)
                said = wall.consent(camera).decisions.get(camera.owner)
        except ClipError as error:
            refused(waits, error.reason)
            continue
        at_once = standing in {Standing.ORDERED, Standing.OWN}
        since_ns = max(
            said.decided_ns if said is not None else wall.life.sent_ns or 0,
            camera.always_until_ns - always_ns if standing is Standing.ALWAYS and camera.always_until_ns else 0,
            wall.life.lifted_ns or 0,
        )
        if wall.life.held or not (at_once or since_ns <= tick_ns):
            continue
        owner = wall.owner(camera.owner)
        what = said.discloses if standing is Standing.SHARED and said is not None else ()
        record = replace(
            waits.record,
            released_ns=at_once_ns if at_once else tick_ns,
            disclosed=disclosed(camera, owner, owner.discloses if standing is Standing.ALWAYS else what, cell_m),
            note=said.note if standing is Standing.SHARED and said is not None else "",
            timing=_unnamed(waits.record.timing, camera, owner),
            basis=_basis(standing, wall.consent(camera), camera, waits.record.asked),
        )
        released.append(replace(waits, record=record, word=standing.value, owner=camera.owner))
    return released


def _basis(standing: Standing, said: Consent, camera: Camera, asked: Span) -> str:
    """Return on what a cut leaves, so coarse that it does not tell when or for what else its owner said so."""
    if standing is Standing.ORDERED:
        whole = [one for one in said.orders_for(camera, asked) if one.span & asked == asked]
        return min(whole, key=lambda one: (one.approved_ns or 0, one.id)).basis.value
    return OWN if standing is Standing.OWN else CONSENT


def _unnamed(timing: Timing | None, camera: Camera, owner: Owner) -> Timing | None:
    """Return how times are known without words that name the camera or its owner: people write them freely."""
    if timing is None:
        return None
    names = {camera.id, camera.owner, *camera.aliases, owner.mail, *re.findall(r"\w{3,}", owner.name)} - {""}
    known = timing.known.casefold()
    return replace(timing, known="") if any(name.casefold() in known for name in names) else timing


def prepared_for(archive: Archive, request: str) -> Iterator[Delivery]:
    """Yield what is set aside for a request; an account that cannot be read costs its cut, which `prepare` names."""
    return archive.prepared.readable(f"{request}/", unread=lambda _, __: None)


def _check_place(waits: Delivery) -> None:
    if waits.record.key != released_key(waits.request, waits.record.name):
        raise ClipError("consent", "its account names another place than its request's case")


def handed_over(archive: Archive, delivery: Delivery) -> bool:
    """Tell whether a released clip and its record lie in its case, byte for byte. Raises ClipError where others do."""
    wrong = wrong_with(archive, delivery)
    if wrong:
        raise ClipError("deliver", f"{wrong}; {_MOVE}")
    return wrong is not None


def wrong_with(archive: Archive, delivery: Delivery) -> str | None:
    """Return what is wrong with a released clip or its record in its case, "" for nothing, None where one is gone.

    The clip's bytes are read and hashed: what a store says of them whoever replaced them can say too.
    """
    record, name = delivery.record, f"{delivery.request}/{delivery.record.name}"
    if wrong := wrong_at(archive, record, record.key):
        return f"{record.key} is not what was made: {wrong}"
    try:
        found = archive.records.as_written(name)
    except DamagedDocument as error:
        return str(error)
    if found is not None and found != record:
        return f"{archive.records.key(name)} is not the record that was released"
    return None if wrong is None or found is None else ""


def wrong_at(archive: Archive, record: Record, key: str) -> str | None:
    """Return how the bytes under a key differ from those of a record, "" for not at all, None where there are none."""
    head = archive.store.head(key)
    if head is None:
        return None
    if wrong := _wrong_in(head, record):
        return wrong
    with scratch() as folder:
        try:
            found = archive.store.fetch(key, folder / "clip")
        except MissingObject:
            return None
    return "" if found == record.sha256 else f"wanted SHA-256 {record.sha256}, got {found}"


_MOVE = "somebody replaced it: move it away and keep it, and deliver again"


def _wrong_in(head: Head, record: Record) -> str:
    """Return what an object says of itself that its record does not, "" for nothing."""
    if head.size != record.size:
        return f"wanted {record.size} bytes, got {head.size}"
    if (said := head.meta.get("sha256", record.sha256)) != record.sha256:
        return f"wanted SHA-256 {record.sha256}, it says {said}"
    return ""


def hand_over(archive: Archive, delivery: Delivery, *, replaced: Callable[[str], None] = lambda _: None) -> bool:
    """Put a released clip into its case; tell whether it is there. Whoever is killed half-way does it again.

    `replaced` is told what lay there that was never released; what was released takes its place.
    """
    record = delivery.record
    head = archive.store.head(record.key)
    wrong = _wrong_in(head, record) if head is not None else ""
    if wrong:
        replaced(wrong)
    if head is None or wrong:
        try:
            archive.store.copy(prepared_key(delivery), record.key, meta={"sha256": record.sha256})
        except MissingObject:
            return False  # made again by the next delivery, if its owner still lets it out
    archive.records.put(record)
    return True


def drop_prepared(archive: Archive, deliveries: Iterable[Delivery]) -> None:
    """Remove cuts that were set aside and will not be released from there any more."""
    for delivery in deliveries:
        archive.store.delete(prepared_key(delivery))
        archive.prepared.remove(f"{delivery.request}/{delivery.cut}")
