"""A bug inside one clip's work costs that clip, in every kind of run; its traceback is kept until it is mended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import pytest

import workers.deliver
import workers.ingest
from fleet_fixtures import Films, a_request, ask, change, put_film
from lamplighter.answers import BUG
from lamplighter.cli.app import main
from lamplighter.desk.desk import Desk
from logged import entries
from pipeline.case.match import Verdict
from pipeline.errors import RepeatedBug
from pipeline.measure.motion import MeasureSettings, measure
from pipeline.media.cut import make_cut
from storage.archive import Aside, Ingested
from storage.location import Location
from workers.blame import SAME_BUG
from workers.inbox import Inbox, Upload
from workers.ingest import Context
from workers.receipt import Outcome, Stopwatch
from workers.settings import LiveSettings
from workers.shard import Answer, Shard
from workers.sources import IngestJob

pytestmark = pytest.mark.whole


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Let `measure` have a bug that it meets in clips of so many frames; take a number out, and it is mended."""
    counts: set[int] = set()

    def with_a_bug(frames: Any, **settings: Any) -> Any:
        seen = [(pts, plane.copy()) for pts, plane in frames]
        if len(seen) in counts:
            raise IndexError(f"frame {len(seen)} of \x1b[31m{len(seen)}\u202e")
        return measure(iter(seen), **settings)

    monkeypatch.setattr(workers.ingest, "measure", with_a_bug)
    return counts


def asides(desk: Desk) -> list[Aside]:
    return list(desk._holdings.archive.aside.all())


def assert_a_bug(aside: Aside) -> None:
    assert aside.station == "bug"
    assert aside.reason.startswith("IndexError: frame 80 of ")
    assert "workers.ingest.measured" in aside.reason
    assert aside.trace.startswith("Traceback (most recent call last):")
    assert "IndexError: frame 80 of" in aside.trace
    assert "\x1b" not in aside.reason + aside.trace
    assert "\u202e" not in aside.reason + aside.trace


def test_a_bug_in_measuring_costs_its_clip_and_the_next_run_tries_it_again(
    desk: Desk, films: Films, tmp_path: Path, faulty: set[int]
) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    short = put_film(films.still, tmp_path / "in", "ask-2")
    faulty.add(80)
    tally = desk.ingest([str(tmp_path / "in")])
    assert tally.outcomes == {Outcome.ASIDE: 2}
    assert len(tally.bugs) == 2
    for aside in asides(desk):
        assert_a_bug(aside)
    assert (
        "2 met IndexError (workers.ingest.measured" in [entry.detail for entry in entries(desk._holdings.archive)][-1]
    )
    faulty.clear()
    short.unlink()
    assert desk.ingest([str(tmp_path / "in")]).outcomes == {Outcome.DONE: 1}
    assert [Path(aside.source).parent.name for aside in asides(desk)] == ["ask-2"]


def test_many_clips_with_one_bug_stop_the_run_and_what_was_done_is_kept(
    desk: Desk, films: Films, tmp_path: Path, faulty: set[int]
) -> None:
    put_film(films.moving, tmp_path / "a", "ask-1")
    desk.ingest([str(tmp_path / "a")])
    for number in range(SAME_BUG + 3):
        put_film(films.still, tmp_path / "in", "ask-1", after_s=60 * (number + 1))
    faulty.add(80)
    with pytest.raises(RepeatedBug, match=r"clips in a row met one bug(?s:.)*Traceback"):
        desk.ingest([str(tmp_path / "a"), str(tmp_path / "in")])
    assert len(asides(desk)) == SAME_BUG
    assert len(desk.clips()) == 1
    faulty.clear()
    assert desk.ingest([str(tmp_path / "in")]).outcomes == {Outcome.DONE: SAME_BUG + 3}
    assert asides(desk) == []


def test_a_bug_in_measuring_again_is_kept_too_and_goes_when_it_is_mended(
    desk: Desk, films: Films, tmp_path: Path, faulty: set[int]
) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    desk.ingest([str(tmp_path / "in")])
    change(desk, measure=MeasureSettings(rate_hz=4.0))
    faulty.add(80)
    assert desk.remeasure().outcomes == {Outcome.ASIDE: 1}
    (aside,) = asides(desk)
    assert_a_bug(aside)
    faulty.clear()
    assert desk.remeasure().outcomes == {Outcome.DONE: 1}
    assert asides(desk) == []


def test_a_bug_in_cutting_costs_its_clip_and_the_others_are_delivered(
    desk: Desk, films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, film in enumerate((films.moving, films.other)):
        put_film(film, tmp_path / "in", "always-1", after_s=60 * number)
    desk.ingest([str(tmp_path / "in")])
    asked = ask(desk, a_request())
    first = min(desk.clips(), key=lambda one: one.clip.start_ns)

    def with_a_bug(source: Path, target: Path, cut: Any, **rest: Any) -> Any:
        if cut.clip.id == first.clip.id:
            raise KeyError("a bug of ours")
        return make_cut(source, target, cut, **rest)

    monkeypatch.setattr(workers.deliver, "make_cut", with_a_bug)
    tally = desk.deliver(asked)
    assert tally.outcomes == {Outcome.ASIDE: 1, Outcome.DONE: 1}
    (aside,) = asides(desk)
    assert (aside.station, "KeyError: 'a bug of ours'" in aside.reason) == ("bug", True)
    monkeypatch.undo()
    assert desk.deliver(asked).outcomes == {Outcome.DONE: 1, Outcome.ALREADY: 1}
    assert asides(desk) == []


# Live -----------------------------------------------------------------------------------------------------------------


def test_in_live_ingest_a_bug_costs_its_clip_and_its_bytes_stay_for_the_next_run(
    desk: Desk, films: Films, tmp_path: Path, faulty: set[int]
) -> None:
    change(desk, live=LiveSettings(poll_s=0.1))
    spool = desk.settings.data / "spool" / "ask-1"
    spool.mkdir(parents=True)
    (spool / "20260131T180000.000000000Z-arrival.mp4").write_bytes(films.still.read_bytes())
    (tmp_path / "in").mkdir()
    faulty.add(80)
    board = desk.watch([str(tmp_path / "in")], for_s=0.3)
    assert (board.counts["in"], dict(board.aside)) == (1, {"bug": 1})
    assert [trace.startswith("Traceback") for trace in board.document()["bugs"].values()] == [True]
    assert list(spool.iterdir()) == []
    store = desk._holdings.archive.store
    (held,) = Inbox(store, desk._holdings.context.store).held()
    assert store.get(held.key) == films.still.read_bytes(), "it is all there is of this recording"
    assert_a_bug(asides(desk)[0])
    faulty.clear()
    board = desk.watch([str(tmp_path / "in")], for_s=0.3)
    assert board.counts["done"] == 1
    assert asides(desk) == []
    assert list(store.keys("inbox/")) == []


def test_in_live_ingest_many_clips_with_one_bug_stop_the_run(desk: Desk, films: Films, tmp_path: Path) -> None:
    change(desk, live=LiveSettings(poll_s=0.1))
    for number in range(SAME_BUG + 1):
        put_film(films.still, tmp_path / "in", "ask-1", after_s=60 * number)

    def work(_job: IngestJob, _context: Context, _watch: Stopwatch) -> NoReturn:
        raise AssertionError("a bug of ours")

    with pytest.raises(RepeatedBug, match="a bug of ours"):
        desk.watch([str(tmp_path / "in")], for_s=30, work=work)
    assert len(asides(desk)) == SAME_BUG


def test_an_upload_a_shard_cannot_keep_for_a_bug_costs_that_upload(
    desk: Desk, films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = Inbox.keep

    def with_a_bug(inbox: Inbox, upload: Upload, open_bucket: Any) -> Any:
        if upload.job.camera == "ask-1":
            return [][upload.size]
        return keep(inbox, upload, open_bucket)

    monkeypatch.setattr(Inbox, "keep", with_a_bug)
    paths = {camera: put_film(films.still, tmp_path / "in", camera) for camera in ("ask-1", "ask-2")}
    shard = Shard(0, desk._holdings.context.store, LiveSettings(shards=1))
    job = IngestJob("a.mp4", Location(str(paths["ask-1"])), "mark", "ask-1", None)
    reply = shard.offer(Upload(job, 1, 1))
    assert (reply.answer, reply.station, reply.trace[:9]) == (Answer.ASIDE, "bug", "Traceback")
    change(desk, live=LiveSettings(poll_s=0.1))
    board = desk.watch([str(tmp_path / "in")], for_s=0.5)
    assert (dict(board.aside), board.counts["done"]) == ({"bug": 1}, 1)
    assert [aside.trace[:9] for aside in asides(desk)] == ["Traceback"]


# What the command line says -------------------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], desk: Desk, *words: str) -> tuple[int, str, str]:
    code = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAMPLIGHTER_CASE__TICK_S", "0")
        patch.setattr("sys.argv", ["lamplighter", "--data", str(desk.settings.data), *words])
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_exit_code_and_the_traceback_tell_of_a_bug(
    desk: Desk, films: Films, tmp_path: Path, faulty: set[int], capsys: pytest.CaptureFixture[str]
) -> None:
    put_film(films.still, tmp_path / "in", "ask-1")
    faulty.add(80)
    words = ("ingest", str(tmp_path / "in"), "--workers", "0")
    code, out, err = run(capsys, desk, *words)
    assert code == BUG
    assert "bug" in out
    assert "Traceback (most recent call last):" in err
    assert "This is a bug, please report it: IndexError (workers.ingest.measured" in err
    code, out, _ = run(capsys, desk, *words, "--json")
    (told,) = json.loads(out)["set_aside"]
    assert (code, told["station"], told["trace"][:9]) == (BUG, "bug", "Traceback")
    assert "Traceback" not in run(capsys, desk, "show")[1]
    assert json.loads(run(capsys, desk, "show", "--json")[1])["set aside"][0]["trace"] == told["trace"]
    (tmp_path / "in" / "ask-1" / "20260131T180000Z.mp4").write_bytes(b"no film")
    assert run(capsys, desk, *words)[0] == 1


# Activities that are gone ---------------------------------------------------------------------------------------------


def lose_one_of_two(desk: Desk, films: Films, folder: Path) -> Ingested:
    """Take in two clips that move, of an owner who always shares, and lose what moved in the first."""
    for number, film in enumerate((films.moving, films.other)):
        put_film(film, folder, "always-1", after_s=60 * number)
    desk.ingest([str(folder)])
    first = min(desk.clips(), key=lambda one: one.clip.start_ns)
    desk._holdings.archive.store.delete(first.activity)
    return first


def test_a_clip_whose_activity_is_gone_is_told_and_the_others_match_and_leave(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    lost = lose_one_of_two(desk, films, tmp_path / "in")
    asked = ask(desk, a_request())
    rows = {row.match.clip.id: row for row in desk.match(asked) if row.match.clip}
    row = rows.pop(lost.clip.id)
    assert row.match.verdict is Verdict.UNREADABLE
    assert (row.standing, lost.activity in row.damage) == (None, True)
    assert [(row.match.verdict, row.damage) for row in rows.values()] == [(Verdict.MATCH, "")]
    tally = desk.deliver(asked)
    assert tally.outcomes == {Outcome.ASIDE: 1, Outcome.DONE: 1}
    assert [(receipt.station, receipt.reason) for receipt in tally.aside] == [("activity", row.damage)]


def test_an_activity_that_is_gone_is_measured_again(desk: Desk, films: Films, tmp_path: Path) -> None:
    lost = lose_one_of_two(desk, films, tmp_path / "in")
    assert desk.remeasure().outcomes == {Outcome.DONE: 1}
    assert desk._holdings.archive.activity(lost).share.any()
    assert desk.remeasure().planned == 0
    asked = ask(desk, a_request())
    assert [row.match.verdict for row in desk.match(asked) if row.match.clip] == [Verdict.MATCH] * 2


def test_match_and_deliver_exit_with_1_for_an_activity_that_is_gone(
    desk: Desk, films: Films, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = lose_one_of_two(desk, films, tmp_path / "in")
    asked = ask(desk, a_request())
    code, out, err = run(capsys, desk, "match", asked.id)
    assert (code, Verdict.UNREADABLE.value in out, lost.activity in err) == (1, True, True)
    assert "--remeasure" in err
    code, out, err = run(capsys, desk, "deliver", asked.id, "--workers", "0", "--json")
    assert (code, len(json.loads(out)["delivered"]), lost.activity in err) == (1, 1, True)
    assert lost.activity not in out
