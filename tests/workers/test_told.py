"""What is told with a released clip: how its times are known, on what it left, where its recording has a hole."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_fixtures import CAMERAS, START_NS, Films, a_request, answer, ask, move_in, put_film, staff
from lamplighter.desk.desk import Desk
from pipeline.case.order import Basis
from pipeline.case.released import CONSENT, Record, Timing
from pipeline.clip import Clock, Condition, Owner
from pipeline.media.cut import Cut, Product
from pipeline.media.profile import Profile
from pipeline.span import NS, Span
from samples import DELIVERED, DIGEST, NOON, camera, case_key, clip, request, stream
from storage.archive import Archive
from storage.directory import DirectoryStore
from workers.deliver import _unnamed, account

SPAN = Span(START_NS, START_NS + 900 * NS)


def records(desk: Desk) -> dict[str, Record]:
    """Return what was released, by camera."""
    return {one.camera: one.record for one in desk._holdings.archive.deliveries.all()}


@pytest.mark.whole
def test_always_and_an_answer_are_one_basis_and_an_order_tells_its_kind(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    for name in ("always-1", "ask-1", "never-1"):
        put_film(films.moving, tmp_path / "in", name)
    desk.ingest([str(tmp_path / "in")])
    asked = ask(desk, a_request())
    staff(desk)
    paper = tmp_path / "order.pdf"
    paper.write_bytes(b"By order of the court")
    order = desk.acting_for("linus").enter_order(
        asked, Basis.WARRANT, authority="District court 4 C 17/26", cameras=("never-1",), span=SPAN, file=paper
    )
    desk.acting_for("lena").approve_order(asked, order.id, call_back="called the clerk of the court")
    answer(desk, asked, "piet", share=None)
    desk.deliver(asked)
    assert {name: one.basis for name, one in records(desk).items()} == {
        "always-1": CONSENT,
        "ask-1": CONSENT,
        "never-1": "search warrant",
    }
    told = desk.acting_for("otto").case(asked.id).document()
    assert sorted(one["basis"] for one in told["clips"]) == [CONSENT, CONSENT, "search warrant"]
    assert "17/26" not in json.dumps(told)
    assert "always" not in json.dumps(told)


@pytest.mark.whole
def test_the_clock_of_a_camera_leaves_with_its_clip_and_no_words_that_name_it(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    (ask_1,) = (one for one in CAMERAS if one.id == "ask-1")
    (always_1,) = (one for one in CAMERAS if one.id == "always-1")
    move_in(
        desk,
        [
            replace(ask_1, clock_offset_s=2.5, clock_known="compared with a radio clock on 3 May"),
            replace(always_1, clock_offset_s=-1.0, clock_known=f"seen on {always_1.id}"),
        ],
    )
    for name in ("always-1", "ask-1"):
        put_film(films.moving, tmp_path / "in", name, after_s=60)
    desk.ingest([str(tmp_path / "in")])
    asked = ask(desk, a_request())
    answer(desk, asked, "piet", share=None)
    desk.deliver(asked)
    timing = {name: one.timing for name, one in records(desk).items()}
    assert timing["ask-1"] == Timing("path", "", 2.5, "compared with a radio clock on 3 May")
    assert timing["always-1"] == Timing("path", "", -1.0, "")
    (told,) = (one for one in desk.acting_for("otto").case(asked.id).document()["clips"] if one["timing"]["known"])
    assert told["timing"] == {
        "source": "path", "zone": "", "offset_s": 2.5, "known": "compared with a radio clock on 3 May",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("known", "stays"),
    [
        ("by a radio clock on 3 May", True),
        ("", True),
        ("CAM-1 against a radio clock", False),
        ("told by olga2", False),
        ("Frau MÜLLER rang up", False),
        ("the Front Door one, by telephone", False),
        ("write to o@example.org", False),
    ],
)
def test_words_that_name_the_camera_or_its_owner_stay(known: str, stays: bool) -> None:
    of = camera("cam-1", owner="olga2", aliases=("Front Door",))
    told = _unnamed(Timing("path", "UTC", 3.0, known), of, Owner("olga2", "Ottilie Müller", "o@example.org"))
    assert told == Timing("path", "UTC", 3.0, known if stays else "")


def product(span: Span) -> Product:
    return Product(DIGEST, 900, span, 900, "remux", "h264", 1920, 1080, None, "ffmpeg 9")


def test_a_cut_tells_which_of_its_ends_borders_on_a_hole() -> None:
    """A minute, ten seconds of which were not recorded; a cut that ends for another reason tells nothing."""
    holed = clip(stream=stream(condition=Condition(holes=((20 * 15360, 30 * 15360),))))
    of = request()

    def told(start_s: int, end_s: int) -> tuple[bool, bool]:
        span = Span(NOON + start_s * NS, NOON + end_s * NS)
        record = account(Cut(of.id, holed, span, Profile()), product(span), case_key(of)).record
        return record.hole_before, record.hole_after

    assert [told(0, 20), told(30, 60), told(5, 15), told(31, 40)] == [
        (False, True), (True, False), (False, False), (False, False),
    ]  # fmt: skip


def test_a_clip_whose_record_does_not_say_how_its_start_is_known_tells_nothing_of_it() -> None:
    of, taken = request(), clip()
    cut = Cut(of.id, taken, taken.span, Profile())
    assert account(cut, product(taken.span), case_key(of)).record.timing is None
    known = account(cut, product(taken.span), case_key(of), Clock("sidecar", "UTC", 0.0, "")).record.timing
    assert known == Timing("sidecar", "UTC")


def test_records_that_say_nothing_of_this_are_still_read(tmp_path: Path) -> None:
    archive = Archive(DirectoryStore(tmp_path))
    fields = json.loads(archive.records.dump(DELIVERED.record))
    for name in ("timing", "hole_before", "hole_after", "basis"):
        del fields[name]
    plain = replace(DELIVERED.record, timing=None, hole_after=False, basis="")
    assert archive.records.load(json.dumps(fields | {"schema": 3})) == plain
