"""Pictures and the page: what must be seen is in the pixels, and nothing leads outside."""

import io
import json
import re
from collections.abc import Sequence
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from fleet_fixtures import CAMERA_ROWS, START_NS, Films, put_film
from lamplighter.cli.app import app
from lamplighter.report.heat import CameraHeat
from lamplighter.report.page import Section, page
from lamplighter.report.pictures import WIDTH, curve, heat, timeline, warmth
from lamplighter.report.strips import strip, strips
from pipeline.activity import Activity
from pipeline.detection.detect import detect
from pipeline.detection.evidence import weigh
from pipeline.detection.gates import Detection
from pipeline.detection.tracer import trace, watched_cells
from pipeline.measure.motion import measure
from pipeline.media.decode import open_video
from pipeline.span import NS, Span
from samples import clip, stream
from simulation.scene import Mover, Scene, render

pytestmark = pytest.mark.whole

Pixels = NDArray[np.uint8]
LEFT, RIGHT = 191, 1154  # between them is the time axis
BLUE, RED, INK = (0, 114, 178), (213, 94, 0), (34, 34, 34)


def an_activity(
    frames: int = 100, *, rows: int = 6, columns: int = 8, moving: range = range(40, 60), cold: int = 0
) -> Activity:
    """One busy block of cells in the frames `moving`; 10 frames a second, cells of 16 pixels."""
    share = np.zeros((frames, rows, columns), np.uint8)
    share[moving.start : moving.stop, 1:3, 2:4] = 200
    return Activity(
        share=share,
        pts=1000 + np.arange(frames, dtype=np.int64) * 100,
        luma=np.full(frames, 90, np.uint8),
        time_base=Fraction(1, 1000),
        cold=cold,
        width=columns * 16,
        height=rows * 16,
        version="1-test",
        cell_side=16,
    )


def at(start_pts: int, end_pts: int) -> Span:
    """Return when this is in a clip of `an_activity` that starts at START_NS."""
    return Span(START_NS + (start_pts - 1000) * 10**6, START_NS + (end_pts - 1000) * 10**6)


def drawn(
    activity: Activity, rows: Sequence[tuple[str, Sequence[Span]]] = (), truth: Sequence[Span] | None = None
) -> bytes:
    return timeline([strip(activity, START_NS)], rows, title="t", truth=truth)


def pixels(png: bytes) -> Pixels:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        image.load()
        assert image.width == WIDTH
        return np.asarray(image.convert("RGB"))


def where(picture: Pixels, colour: tuple[int, int, int], near: int = 12) -> NDArray[np.bool_]:
    return np.asarray((np.abs(picture.astype(int) - colour) <= near).all(-1))


def share_of_axis(picture: Pixels, colour: tuple[int, int, int]) -> tuple[float, float]:
    """Return where on the time axis a colour begins and ends, 0 to 1."""
    columns = np.flatnonzero(where(picture, colour)[:, LEFT:RIGHT].sum(0) > 10)
    return columns[0] / (RIGHT - LEFT), (columns[-1] + 1) / (RIGHT - LEFT)


def test_events_stand_at_their_time_in_rows_above_each_other() -> None:
    activity = an_activity()
    picture = pixels(drawn(activity, [("one", [at(2000, 4000)]), ("two", [at(6000, 11_000)])]))
    assert share_of_axis(picture, BLUE) == pytest.approx((0.1, 0.3), abs=0.005)
    assert share_of_axis(picture, RED) == pytest.approx((0.5, 1.0), abs=0.005)
    height = [np.flatnonzero(where(picture, colour).any(1)).mean() for colour in (BLUE, RED)]
    assert height[0] < height[1]


def test_the_curves_rise_where_it_moves_and_true_spans_are_shaded() -> None:
    activity = an_activity(moving=range(50, 75))
    picture = pixels(drawn(activity, [("x", [])], [at(6000, 8500)]))
    peak = picture[62:212, LEFT:RIGHT]
    dark = np.flatnonzero(where(peak, (77, 77, 77)).sum(0) > 100) / (RIGHT - LEFT)
    assert (dark[0], dark[-1]) == pytest.approx((0.5, 0.75), abs=0.005)
    plain = pixels(drawn(activity, [("x", [])]))
    assert where(picture, (250, 246, 189), 4).sum() > 1000 > where(plain, (250, 246, 189), 4).sum()


def test_only_watched_cells_raise_the_upper_curve() -> None:
    activity = an_activity()
    watched = np.ones((6, 8), np.bool_)
    watched[1:3, 2:4] = False
    assert strip(activity, watched=watched).peak.max() == 0
    assert strip(activity, watched=np.zeros((6, 8), np.bool_)).peak.max() == 0
    assert strip(activity).peak.max() == pytest.approx(200 / 255)


def test_the_score_of_a_trace_is_drawn_above_the_rest_with_its_threshold() -> None:
    activity = an_activity(300, moving=range(150, 225))
    traced = trace(weigh(activity), Detection())
    (scored,) = strips(activity, START_NS, traced=traced)
    assert scored.score is not None
    assert scored.threshold == pytest.approx(-0.3, abs=0.01)
    over = np.flatnonzero(scored.score >= scored.threshold)
    assert (scored.edges[over[0]], scored.edges[over[-1] + 1]) == pytest.approx((15, 22.5), abs=0.7)
    picture = pixels(timeline([scored], [("x", [])], title="t"))
    panel, below = picture[62:192, LEFT:RIGHT], picture[208:358, LEFT:RIGHT]
    high = np.flatnonzero(where(panel, (140, 107, 177)).sum(0) > 60) / (RIGHT - LEFT)
    assert (high[0], high[-1]) == pytest.approx((0.5, 0.75), abs=0.03)
    assert (where(panel, INK).sum(1) > 900).any()
    assert not (where(below, INK).sum(1) > 900).any()
    assert where(below, (77, 77, 77)).any()
    assert not where(pixels(drawn(activity)), (140, 107, 177)).any()


def test_the_score_of_hours_keeps_its_highest_moment() -> None:
    activity = an_activity(4 * 3600 * 10, rows=2, columns=8, moving=range(100_000, 100_030))
    traced = trace(weigh(activity), Detection())
    (scored,) = strips(activity, START_NS, traced=traced)
    assert scored.score is not None
    assert len(scored.score) == len(scored.peak) < WIDTH
    assert scored.score.max() == traced.scores.max() > scored.threshold


def test_cold_frames_are_shaded() -> None:
    warm, cold = (pixels(drawn(an_activity(cold=cold)))[70:200] for cold in (0, 30))
    differs = np.flatnonzero((warm != cold).any((0, 2))) - LEFT
    assert differs.max() / (RIGHT - LEFT) == pytest.approx(0.3, abs=0.01)


def test_hours_keep_their_shortest_peak_and_stay_small() -> None:
    activity = an_activity(8 * 3600 * 10, rows=2, columns=8, moving=range(100_000, 100_001))
    reduced = strip(activity)
    assert len(reduced.peak) < WIDTH
    assert reduced.peak.max() == pytest.approx(200 / 255)
    assert reduced.edges[reduced.peak.argmax()] == pytest.approx(10_000, abs=40)
    events = [at(1000 + n * 20_000, 6000 + n * 20_000) for n in range(1000)]
    assert len(drawn(activity, [("a", events), ("b", [])])) < 200_000


def test_a_column_without_a_frame_shows_the_one_before_it() -> None:
    share = np.zeros((2000, 1, 1), np.uint8)
    share[999] = 255
    pts = np.arange(2000, dtype=np.int64)
    pts[1000:] += 100_000
    luma = np.zeros(2000, np.uint8)
    activity = Activity(share, pts, luma, Fraction(1, 10), cold=0, width=16, height=16, version="1", cell_side=16)
    assert strip(activity, columns=100).peak[1:97].min() == 1


@pytest.mark.parametrize("cold", [0, 1])
def test_one_frame_and_no_events_can_be_drawn(cold: int) -> None:
    activity = an_activity(1, moving=range(1), cold=cold)
    assert pixels(drawn(activity)).std() > 0
    assert pixels(drawn(activity, [("a", []), ("b", [])], [])).std() > 0
    assert pixels(heat(activity, None, title="t")).std() > 0


def test_long_times_between_clips_are_left_out() -> None:
    activity = an_activity()
    strips = [strip(activity, START_NS + day * 86_400 * NS) for day in (1, 0, 5)]
    spans = [Span(START_NS + day * 86_400 * NS + 2 * NS, START_NS + day * 86_400 * NS + 4 * NS) for day in (0, 1, 5)]
    picture = pixels(timeline(strips, [("x", [*spans, Span(1, 2)])], title="t"))
    bars = where(picture, BLUE)[:, LEFT:RIGHT].sum(0) > 10
    assert np.count_nonzero(np.diff(bars.astype(int)) == 1) == 3
    assert np.count_nonzero(np.diff((where(picture, (189, 189, 189), 2).sum(0) > 100).astype(int)) == 1) == 2
    with pytest.raises(ValueError, match="at least one clip"):
        timeline([], [], title="t")


def test_clips_that_overlap_or_touch_are_drawn_without_a_break() -> None:
    strips = [strip(an_activity(), START_NS + second * NS) for second in (0, 5, 15)]
    picture = pixels(timeline(strips, [], title="t"))
    assert not (where(picture, (189, 189, 189), 2).sum(0) > 100).any()


def test_a_thousand_clips_are_one_picture() -> None:
    activity = an_activity(20)
    strips = [strip(activity, START_NS + n * 3600 * NS, columns=3) for n in range(1000)]
    assert len(timeline(strips, [("x", [Span(START_NS, START_NS + NS)])], title="t")) < 300_000


@pytest.mark.parametrize("name", ["a $\\frac{1}{0}$ $x", "日本", "x" * 300, "a\nb\tc", "\udcff", ""])
def test_no_name_breaks_a_picture(name: str) -> None:
    assert pixels(timeline([strip(an_activity(), START_NS)], [(name, [at(2000, 3000)])], title=name)).std() > 0
    assert pixels(curve([], front=[], marks={name: (0.5, 0.5)}, title=name)).std() > 0


def test_the_same_values_give_the_same_bytes() -> None:
    first, second = (drawn(an_activity(), [("x", [at(2000, 3000)])]) for _ in range(2))
    assert first == second


def test_a_curve_marks_default_and_suggested() -> None:
    points = [(0.9, 0.2), (0.5, 0.5), (0.2, 0.9), (None, 0.0), (float("nan"), 0.3)]
    both = pixels(
        curve(
            points, front=points, marks={"now": (0.3, 0.3), "default": (0.5, 0.5), "suggested": (0.8, 0.7)}, title="t"
        )
    )
    default = np.argwhere(where(both, (230, 159, 0), 2)[:, :700]).mean(0)
    suggested = np.argwhere(where(both, RED, 2)[:, :700]).mean(0)
    # The axes are 612 pixels wide from 84 and 576 high from 72.
    assert default == pytest.approx((72 + 576 * 0.5, 84 + 612 * 0.5), abs=3)
    assert suggested == pytest.approx((72 + 576 * 0.2, 84 + 612 * 0.7), abs=5)
    without = pixels(curve(points, front=[], marks={"now": (None, 0.0), "default": (None, 0.0)}, title="t"))
    assert not where(without, (230, 159, 0), 2)[72:648, 84:696].any()


def test_heat_lies_on_its_cells_and_the_still_below_it() -> None:
    activity = an_activity()
    still = np.zeros((96, 128), np.uint8)
    still[:, 64:] = 180
    picture = pixels(heat(activity, still, title="t"))
    # 1050 pixels for 128 of the picture, from (24, 62).
    per = 1050 / 128

    def at(x: float, y: float) -> list[int]:
        return [int(value) for value in picture[round(62 + y * per), round(24 + x * per)]]

    assert at(20, 80) == [0, 0, 0]
    assert at(100, 80) == pytest.approx([180] * 3, abs=1)
    for inside in ((33, 17), (62, 46)):
        assert at(*inside) == at(48, 32) != [0, 0, 0]
    for outside in ((30, 17), (33, 14), (62, 50)):
        assert at(*outside) == [0, 0, 0]


def test_the_last_cell_takes_the_rest_of_the_picture() -> None:
    share = np.full((4, 2, 3), 100, np.uint8)
    pts, luma = np.arange(4, dtype=np.int64), np.zeros(4, np.uint8)
    activity = Activity(
        share=share, pts=pts, luma=luma, time_base=Fraction(1), cold=0, width=55, height=35, version="1", cell_side=16
    )
    warm = warmth(activity)
    assert warm.columns.tolist() == [0, 16, 32, 55]
    assert warm.rows.tolist() == [0, 16, 35]


def test_cells_lie_where_they_were_measured_and_not_where_their_number_lets_them_be_guessed() -> None:
    share = np.zeros((4, 22, 22), np.uint8)
    pts, luma = np.arange(4, dtype=np.int64), np.zeros(4, np.uint8)
    warm = warmth(Activity(share, pts, luma, Fraction(1), 0, width=2560, height=2560, version="1", cell_side=112))
    assert warm.columns[-2:].tolist() == warm.rows[-2:].tolist() == [2352, 2560]


def test_zones_are_outlined_where_they_end() -> None:
    activity = an_activity()
    detection = Detection(watch=(((0.5, 0), (1, 0), (1, 1), (0.5, 1)),))
    watched = watched_cells(activity, detection)
    picture = pixels(heat(activity, np.full((96, 128), 60, np.uint8), watched=watched, title="t"))
    line = np.flatnonzero(where(picture, (86, 180, 233), 4)[100:800, 30:1060].sum(0) > 600) + 30
    assert line.mean() == pytest.approx(24 + 1050 / 2, abs=2)


def test_cold_frames_do_not_warm() -> None:
    activity = an_activity(moving=range(10), cold=20)
    assert warmth(activity).total.max() == 0
    assert warmth(activity).frames == 80
    assert warmth(an_activity(10, moving=range(10), cold=10)).total.max() == 2000


def test_warmth_adds_up_over_clips_of_one_size_only() -> None:
    one, other = warmth(an_activity()), warmth(an_activity(rows=7))
    both = one + one
    assert (both.frames, both.total.max()) == (200, 2 * one.total.max())
    assert pixels(heat(both, None, title="t")).std() > 0
    with pytest.raises(ValueError, match="one size of picture"):
        one + other


def test_the_heat_of_a_camera_is_that_of_the_last_clip_s_size() -> None:
    seen, small, large = CameraHeat(), an_activity(), an_activity(rows=9, columns=12)
    film = clip(stream=stream(width=128, height=96))
    for activity in (small, large, small, small):
        seen.add(film, activity, np.ones(activity.share.shape[1:], np.bool_))
    warm, clips = seen.warm[-1]
    assert (clips, warm.frames) == (3, 300)
    assert (warm.total == 3 * warmth(small).total).all()
    before = seen.zones_changed  # other cells are no other zones
    seen.add(film, small, np.zeros(small.share.shape[1:], np.bool_))
    assert (before, seen.zones_changed) == (False, True)
    assert seen.quiet_pts in small.pts[:40]


def test_a_still_or_zones_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="wanted a still of 128 x 96"):
        heat(an_activity(), np.zeros((128, 96), np.uint8), title="t")
    with pytest.raises(ValueError, match="wanted watched cells"):
        heat(an_activity(), None, watched=np.ones((8, 6), np.bool_), title="t")


@pytest.mark.parametrize(("rows", "columns"), [(40, 2), (1, 40), (1, 1)])
def test_tall_and_wide_pictures_fit(rows: int, columns: int) -> None:
    activity = Activity(
        share=np.full((3, rows, columns), 9, np.uint8), pts=np.arange(3, dtype=np.int64), luma=np.zeros(3, np.uint8),
        time_base=Fraction(1), cold=0, width=columns * 16, height=rows * 16, version="1", cell_side=16,
    )  # fmt: skip
    assert pixels(heat(activity, None, title="t")).shape[0] <= 1024


def test_a_simulated_visitor_is_seen_where_it_walks() -> None:
    walk = (Mover("person", 3, ((-0.1, 0.8), (0.6, 0.8)), 2.0),)
    scene = Scene(5, frames=100, width=160, height=120, leaves=False, movers=walk)
    frames = ((n, image[:120]) for n, image in enumerate(render(scene)))
    warm = warmth(measure(frames, time_base=Fraction(1, 10)))
    middle = warm.total.shape[1] // 2
    assert warm.total[-4:, :middle].sum() > 10 * max(1, warm.total[:2].sum())


def test_real_footage_becomes_timeline_and_heat_map(footage: Path) -> None:
    with open_video(footage / "clips" / "street_intersection.mp4") as video:
        first: list[tuple[int, Any]] = []
        for pts, plane in video.luma():
            first.append((pts, plane.copy()))
            if len(first) == 200:
                break
        base = video.time_base
    activity = measure(first, time_base=base)
    first_pts = first[0][0]
    found = [
        Span(*(START_NS + int((pts - first_pts) * base * NS) for pts in (event.start_pts, event.end_pts)))
        for event in detect(activity, Detection())
    ]
    assert found
    assert pixels(timeline([strip(activity, START_NS)], [("in force", found)], title="Intersection")).std() > 10
    assert pixels(heat(activity, first[0][1], title="Intersection")).std() > 10


class Links(HTMLParser):
    """Collects every attribute that could fetch something, and the tags that could run something."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "action", "data"}]


def test_a_page_holds_everything_and_leads_nowhere() -> None:
    png = drawn(an_activity())
    text = page("T", [Section("H", "one\n\ntwo", png, [("a", "b"), ("x", 1234)])], notice="Mind this")
    parser = Links()
    parser.feed(text)
    assert len(parser.links) == 1
    assert parser.links[0].startswith("data:image/png;base64,")
    assert not {"script", "link", "iframe", "object"} & set(parser.tags)
    assert not re.search(r"https?:|@import|url\(", text)
    assert "default-src 'none'" in text
    assert "Mind this" in text
    assert '<td class="n">1,234</td>' in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_every_text_of_a_page_is_escaped() -> None:
    evil = '<script>alert("1")</script>&\''
    text = page(evil, [Section(evil, evil, b"png", [(evil,), (evil,)])], notice=evil)
    assert "<script" not in text
    assert "alert(&quot;" in text
    assert page("\udcff", []).encode()


def test_columns_of_numbers_and_those_that_are_named_are_set_to_the_right() -> None:
    rows = [("what", "count", "length"), ("a", 3, "2.00 s"), ("b", "-", "12.00 s")]
    text = page("T", [Section("H", table=rows, right=("length",))])
    assert '<td>a</td><td class="n">3</td><td class="n">2.00 s</td>' in text
    assert "<td>2.00 s</td>" in page("T", [Section("H", table=rows)])


def test_a_page_may_be_empty() -> None:
    assert "<h2>None</h2>" in page("T", [Section("None"), Section("Table", table=[])])


@pytest.fixture
def fleet(tmp_path: Path, films: Films, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a data folder in it: camera ask-1 with two films, ask-2 without."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAMPLIGHTER_BATCH__WORKERS", "0")
    (tmp_path / "cameras.csv").write_text("\n".join(CAMERA_ROWS))
    put_film(films.moving, tmp_path / "in", "ask-1")
    put_film(films.other, tmp_path / "in", "ask-1", after_s=3600)
    said("cameras", "import", "cameras.csv")
    said("ingest", "in")
    return tmp_path


def said(*words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_picture_draws_a_camera_with_two_settings_and_says_that_it_shows_footage(fleet: Path) -> None:
    (fleet / "deaf.toml").write_text("[detection]\nmin_cells = 10000\n")
    result = said("picture", "ask-1", "--out", "shown", "--compare", "deaf.toml")
    assert [Path(name).name for name in result["written"]] == ["timeline.png", "heat.png", "page.html"]
    assert (result["clips"], result["events"]["deaf.toml"], result["shows_footage"]) == (2, 0, True)
    assert result["events"]["in force"] >= 2
    text = (fleet / "shown" / "page.html").read_text(encoding="utf-8")
    assert "This page shows footage" in text
    assert "Never give it to a requester" in text
    assert "They differ in min_cells" in text
    assert not re.search(r"https?:", text)
    picture = pixels((fleet / "shown" / "timeline.png").read_bytes())
    assert where(picture, BLUE)[:, LEFT:].sum() > 1000 > where(picture, RED)[:, LEFT:].sum()
    assert pixels((fleet / "shown" / "heat.png").read_bytes()).std() > 10


def test_picture_takes_the_settings_of_the_night_for_a_clip_of_the_night(fleet: Path) -> None:
    (fleet / "deaf.toml").write_text("[night]\nmin_cells = 10000\n[day]\nmin_cells = 1\n")
    result = said("picture", "ask-1", "--out", "shown", "--compare", "deaf.toml")
    assert result["events"]["deaf.toml"] == 0 < result["events"]["in force"]
    assert "They differ in min_cells" in (fleet / "shown" / "page.html").read_text(encoding="utf-8")


def test_picture_of_one_clip_and_without_a_still(fleet: Path) -> None:
    clip = said("show", "ask-1")["clips"][0]["clip"]
    entries = said("log", "audit")["entries"]
    result = said("picture", clip, "--out", "shown", "--no-still")
    assert (result["clips"], result["shows_footage"]) == (1, False)
    text = (fleet / "shown" / "page.html").read_text(encoding="utf-8")
    assert "shows footage" not in text
    assert "Never give it to a requester" in text
    assert said("log", "audit")["entries"] == entries


def test_looking_at_a_frame_is_in_the_audit_log(fleet: Path) -> None:
    entries = said("log", "audit")["entries"]
    said("picture", "ask-1", "--out", "shown")
    assert said("log", "audit")["entries"] == entries + 1
    assert "still taken" in "".join(
        path.read_text() for path in (fleet / "lamplighter-data").rglob("entries/kept/*.json")
    )


def test_a_clip_whose_bytes_are_gone_is_drawn_without_a_still(fleet: Path) -> None:
    for path in (fleet / "lamplighter-data" / "objects").rglob("clips/**/*.mp4"):
        path.unlink()
    done = CliRunner().invoke(app, ["picture", "ask-1", "--out", "shown", "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["shows_footage"] is False
    assert "warning: no still of clip " in done.stderr
    assert "could not be read" in (fleet / "shown" / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nobody", "--out", "x"), "there is no clip and no camera 'nobody'"),
        (("ask-2", "--out", "x"), "camera ask-2 has no clips yet"),
        (("ask-1", "--out", "cameras.csv"), "cameras.csv/timeline.png: cannot be written"),
        (("ask-1", "--out", "x", "--compare", "none.toml"), "none.toml: the settings file cannot be read"),
    ],
)
@pytest.mark.usefixtures("fleet")
def test_what_cannot_be_drawn_is_said(words: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(app, ["picture", *words])
    assert message in str(done.exception)
