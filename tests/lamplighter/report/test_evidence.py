"""A package's pages: they tell all that the manifest tells, escape what others wrote, and need nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import cannot_run
from lamplighter.report.evidence import render_certificate, render_report
from lamplighter.report.exhibit import made, rows_of
from pipeline.case.view import Asked, Course, view
from pipeline.evidence.manifest import File, Manifest, Part
from pipeline.span import NS, Span
from samples import DAY, DELIVERED, MINUTE, NOON, square

STATEMENT = b'{"a": "statement"}\n'
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><a href='http://evil.example'>x</a>",
    "</style><style>@import url(http://evil.example/x.css);</style>",
    "</title></head><body onload=alert(1)>",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "*/ } body { background: url(//evil.example) }",
    "<!-- &amp; ]]> <svg onload=alert(1)>",
)


def png(number: int, size: tuple[int, int] = (32, 24)) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((size[1], size[0], 3), number, np.uint8)).save(file, "PNG")
    return file.getvalue()


def case_of(**fields: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "request": "r17", "rings": (square(),), "span": Span(NOON, NOON + 30 * MINUTE), "case_number": "24-0017",
        "agency": "Northside Police", "officer": "otto", "contact": "desk 4", "incident": "burglary", "note": "a van",
        "made_ns": NOON + DAY,
    }  # fmt: skip
    record = replace(DELIVERED.record, request="r17", method="remux", covered=(), muted=())
    return view(
        Asked(**(known | fields)), Course(approved_ns=NOON + DAY, sent_ns=NOON + DAY), [record], tick_s=1,
        now_ns=NOON + 9 * DAY,
    ).document()  # fmt: skip


def manifest(
    clips: int = 1, *, facts: dict[str, Any] | None = None, **fields: Any
) -> tuple[Manifest, dict[str, bytes]]:
    """Return a manifest of some clips, each with a sidecar and three stills, and the stills."""
    case = case_of(**fields)
    (told,) = case.pop("clips")
    files, pictures = [], {}
    for number in range(clips):
        name = f"{number:02d}" + "ab" * 15
        own = told | {"name": name} | (facts or {})
        files.append(File(f"data/originals/{name}.mp4", f"{number:02d}" + "cd" * 31, 1234567, Part.ORIGINAL, name, own))
        files.append(File(f"data/{name}.c2pa", "ee" * 32, 12817, Part.CREDENTIALS, name))
        for frame in (0, 450, 899):
            path, data = f"data/stills/{name}-{frame:06d}.png", png(frame % 256)
            shown = {"frame": frame, "pts": frame * 512, "at": "2026-03-01T12:00:01.5Z"}
            files.append(File(path, hashlib.sha256(data).hexdigest(), len(data), Part.STILL, name, shown))
            pictures[path] = data
    made_of = Manifest("r17", NOON + 9 * DAY, "officer otto", "lamplighter 0.3.0", case, tuple(files))
    return made_of, pictures


class Elements(HTMLParser):
    """Collects what a page is made of: its elements with their attributes, the text it shows, and its styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.shown = self.styles = ""
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        self._inside = tag
        self.shown += " "

    def handle_endtag(self, tag: str) -> None:
        self._inside = "" if tag == self._inside else self._inside

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.styles += data
        else:
            self.shown += data

    @property
    def text(self) -> str:
        return " ".join(self.shown.split())


def both(made_of: Manifest, pictures: dict[str, bytes], **more: Any) -> Iterator[str]:
    yield render_report(made_of, pictures, more.get("audit", ()), statement=STATEMENT)
    yield render_certificate(made_of, statement=STATEMENT)


def check_harmless(page: str) -> Elements:
    """Assert that a page has no element that runs or fetches anything, and return what it is made of."""
    seen = Elements(page)
    known = (
        "html head meta title style body main section p h1 h2 h3 div ul li ol table thead tbody tr th td code pre span"
    )
    known += " strong a figure figcaption img svg g path text br"
    assert {tag for tag, _ in seen.found} <= set(known.split())
    for tag, attributes in seen.found:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in {"src", "href", "srcset", "data", "action", "xlink:href"}:
                assert re.fullmatch(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+|#clip-\d+", value), value
    assert not re.search(r"url\(|@import|expression|</", seen.styles)
    (policy,) = (one["content"] for tag, one in seen.found if one.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return seen


@pytest.mark.parametrize("bad", HOSTILE)
def test_what_others_wrote_is_shown_and_does_nothing(bad: str) -> None:
    fields: dict[str, Any] = dict.fromkeys(("case_number", "agency", "officer", "contact", "incident", "note"), bad)
    timing = {"source": bad, "zone": bad, "offset_s": 1.0, "known": bad}
    facts = {"note": bad, "disclosed": {"name": bad}, "timing": timing, "tools": bad, "basis": bad, "new": [bad]}
    made_of, pictures = manifest(facts=facts | {"covered": [bad], "codec": bad, "audio": bad}, **fields)
    made_of = replace(made_of, by=bad, program=bad, keys=(bad,), lacks=(bad,), request="r17")
    audit = [{"at_ns": NOON, "actor": bad, "action": bad, "subject": bad, "detail": bad, bad: bad}]
    for page in both(made_of, pictures, audit=audit):
        assert " ".join(bad.split()) in check_harmless(page).text
    assert " ".join(bad.split()) in Elements(next(both(made_of, pictures))).text.partition("Note of its owner")[2]


def test_a_hostile_request_id_stays_out_of_the_styles() -> None:
    made_of, pictures = manifest()
    made_of = replace(made_of, request='r" } body { background: url(//evil.example) } /*</style>')
    for page in both(made_of, pictures):
        check_harmless(page)


def test_writing_that_turns_its_direction_or_is_not_seen_is_escaped() -> None:
    made_of, pictures = manifest(case_number="24\u202e7100", note="a\u200bb\x1b[31m\nline two")
    for page in both(made_of, pictures):
        assert not re.search("[\u202e\u200b\x1b]", page)
        assert r"24\u202e7100" in page
    assert "line two" in next(both(made_of, pictures))


def test_every_value_that_the_case_and_the_clip_tell_is_in_the_report() -> None:
    made_of, pictures = manifest()
    shown = Elements(render_report(made_of, pictures, (), statement=STATEMENT)).text
    facts = made_of.files[0].facts
    wanted = [str(made_of.case[name]) for name in ("case_number", "agency", "officer", "contact", "incident", "note")]
    wanted += [facts["name"], facts["tools"], facts["source_commitment"], facts["note"], facts["codec"]]
    wanted += [*facts["disclosed"].values(), facts["timing"]["known"], facts["timing"]["zone"], "180.5 s ahead of"]
    wanted += ["The consent of its owner.", "no picture right after this", hashlib.sha256(STATEMENT).hexdigest()]
    for word in wanted:
        assert " ".join(word.split()) in shown, word
    for one in made_of.files:
        assert one.path in shown
        assert one.sha256 in shown
        assert f"{one.size:,}" in shown


def test_stills_are_in_the_page_in_order_small_and_with_their_times() -> None:
    made_of, pictures = manifest()
    path = made_of.files[2].path
    page = render_report(made_of, pictures | {path: png(7, (2000, 1000))}, ())
    sources = [one["src"] for tag, one in Elements(page).found if tag == "img"]
    opened = [Image.open(io.BytesIO(base64.b64decode(one.partition(",")[2]))) for one in sources]
    assert [one.size for one in opened] == [(640, 320), (32, 24), (32, 24)]
    assert [round(np.asarray(one).mean()) for one in opened] == [7, 450 % 256, 899 % 256]
    assert re.findall(r"frame ([\d,]+), pts ([\d,]+)</figcaption>", page) == [
        ("0", "0"), ("450", "230400"), ("899", "460288"),
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"no picture", png(1)[:60], b"GIF89a" + b"\0" * 40])
def test_what_is_no_picture_is_left_out(data: bytes) -> None:
    made_of, pictures = manifest()
    page = render_report(made_of, dict.fromkeys(pictures, data), ())
    assert "<img" not in page
    assert all(path in page for path in pictures)


def test_a_package_without_clips_or_entries_says_so() -> None:
    made_of, _ = manifest(0)
    shown = Elements(render_report(made_of, {}, ())).text
    assert "No footage had been released" in shown
    assert "holds no entries of the operator's log" in shown
    assert "0 files listed below" in Elements(render_certificate(made_of)).text


def test_the_steps_of_the_case_stand_in_their_order_with_what_was_done() -> None:
    audit = [
        {"at_ns": NOON, "actor": "officer otto", "action": "submitted", "subject": "r17", "detail": ""},
        {"at_ns": NOON + NS, "actor": "reviewer rita", "action": "approved", "subject": "r17", "index": 17},
        {"at_ns": NOON, "actor": "x", "action": "delivered", "subject": "r17", "sha256": {"clip": "ab" * 32}},
    ]
    shown = Elements(render_report(*manifest(), audit)).text
    assert re.search(r"2026-03-01 12:00:00 UTC officer otto submitted r17 2026-03-01 12:00:01 UTC reviewer rita", shown)
    assert "r17; index: 17" in shown
    assert f"r17; SHA-256 of clip: {'ab' * 32}" in shown


@pytest.mark.parametrize(
    ("as_of", "since", "rounded", "entered"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T11:00:00Z", 3, 2),
        ("2026-03-01T12:00:00Z", "as it was made", 2, 2),
        ("2026-03-01T12:00:00.000000001Z", "2026-03-01T11:00:00Z", 0, 0),  # nothing waits for a set time
    ],
)
def test_an_instant_that_is_told_to_a_set_time_says_so_where_it_stands(
    as_of: str, since: str, rounded: int, entered: int
) -> None:
    made_of, pictures = manifest(2)
    case = dict(made_of.case) | {"as_of": as_of, "since": since if since[0] == "2" else made_of.case["made"]}
    actions = ("delivered", "listed", "fetched", "exported")
    audit = [{"at_ns": NOON, "actor": "operator", "action": one, "subject": "r17"} for one in actions]
    page = render_report(replace(made_of, case=case), pictures, audit)
    assert page.count("(rounded down to a set time of release") == rounded
    assert page.count("the time of release that it counts from, not when it was written") == entered


def test_what_the_package_lacks_and_who_signed_it_is_told() -> None:
    made_of, pictures = manifest()
    full = replace(made_of, lacks=("a time stamp: no authority is set",), keys=("SHA256:abc",))
    for page in both(full, pictures):
        assert "a time stamp: no authority is set" in page
    assert "SHA256:abc" in next(both(full, pictures))
    assert "It was not signed when it was made." in next(both(made_of, pictures))
    assert "it lacked" not in next(both(made_of, pictures))


def test_the_five_commands_stand_on_both_pages() -> None:
    for page in both(*manifest()):
        commands = [" ".join(html.unescape(one).split()) for one in re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)]
        assert [one.split()[0] for one in commands] == ["sha256sum", "bagit.py", "ssh-keygen", "openssl", "lamplighter"]
        assert "verify-time=20260310120000Z" in commands[2]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"method": "remux"}, ["All 900 frames are the camera's own: their coded pictures were copied"]),
        (
            {"method": "transcode", "similarity": 0.97},
            ["All 900 frames were encoded again, each compared with its source. The frame least like its source is "],
        ),
        ({"method": "transcode", "similarity": None, "native": []}, ["compared with its source."]),
        (
            {"method": "transcode", "native": [], "covered": ["zone"]},
            ["compared with its source where it is not covered."],
        ),
        (
            {"method": "smart", "native": [[12, 897]], "similarity": 0.99},
            ["Of 900 frames 885 are the camera's own, bit for bit: frames 12 to 896.", "frames 0 to 11, 897 to 899."],
        ),
        ({"method": "smart", "native": [[0, 10], [11, 900]]}, ["frames 0 to 9, 11 to 899.", "frames 10."]),
        ({"method": "smart", "native": [[2 * n, 2 * n + 1] for n in range(20)]}, ["and 8 more ranges", "and 8 more"]),
    ],
)
def test_how_a_file_was_made_is_told_frame_by_frame(facts: dict[str, Any], told: list[str]) -> None:
    lines = made({"frames": 900} | facts)
    assert len(lines) == len(told)
    assert all(one in line for one, line in zip(told, lines, strict=True)), lines


@pytest.mark.parametrize(
    ("facts", "label", "told"),
    [
        ({"timing": None}, "How the time is known", "does not say how its start is known"),
        (
            {"timing": {"source": "arrival", "zone": "", "offset_s": 0.0, "known": ""}},
            "How the time is known",
            "our own clock, when the recording arrived. No error of the camera's clock is known",
        ),
        (
            {"timing": {"source": "path", "zone": "UTC", "offset_s": -2.5, "known": ""}},
            "How the time is known",
            "2.5 s behind UTC; all times here are corrected for that. How that is known is not said.",
        ),
        ({"damaged": 4}, "Damage", "In 4 frames the recording is damaged"),
        ({"missing": 2}, "Damage", "2 frames of this time are in the recording and cannot be shown"),
        ({}, "Damage", "None was found"),
        ({"hole_before": True, "hole_after": True}, "Shown", "right before this. The recording itself has no picture"),
        (
            {"covered": ["private zone", "sound"], "muted": ["a/b"]},
            "Covered or muted",
            "private zone, sound. Silent a/b.",
        ),
        ({"covered": [], "muted": []}, "Covered or muted", "Nothing."),
        ({"basis": "danger to life"}, "Released", "Danger to life, by the decision of two persons"),
        ({"basis": "court order"}, "Released", "A legal order: an order of a court."),
        ({"basis": ""}, "Released", "an earlier version did not write down"),
        ({"disclosed": {"block": "48.101, 11.502"}}, "What its owner lets be known", "48.101, 11.502"),
        ({"shape": "4/3"}, "Also told", "shape: 4/3"),
    ],
)
def test_a_fact_is_told_in_words(facts: dict[str, Any], label: str, told: str) -> None:
    (row,) = (one for one in rows_of({"frames": 9, "method": "remux"} | facts) if one.label == label)
    assert told in " ".join(row.lines)


def test_the_certificate_leaves_four_blanks_and_lists_every_file_but_the_sidecars() -> None:
    made_of, _ = manifest(2)
    page = render_certificate(made_of, statement=STATEMENT)
    seen = check_harmless(page)
    assert re.findall(r'<th scope="row">(\w+)</th><td></td>', page) == ["Name", "Title", "Signature", "Date"]
    for one in made_of.files:
        assert (one.path in page) == (one.part is not Part.CREDENTIALS), one.path
    assert "8 files listed below" in seen.text
    assert seen.text.count("All 900 frames are the camera's own") == 2
    assert "902(14)" in seen.text
    assert "902(11)" in seen.text


def pages(page: str, folder: Path, paper: str) -> int:
    """Return how many pages of paper Chromium prints of a page."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        cannot_run("no Chromium to print with; apt-get install chromium")
    file, printed = folder / "page.html", folder / "page.pdf"
    file.write_text(page.replace("@page {", f"@page {{ size: {paper};", 1), encoding="utf-8")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", f"--user-data-dir={folder}/own")
    run = [program, *flags, f"--print-to-pdf={printed}", file.as_uri()]
    subprocess.run(run, check=True, capture_output=True, timeout=120)
    data = printed.read_bytes()
    width, height = {"A4": (595, 842), "Letter": (612, 792)}[paper]
    boxes = {tuple(map(round, map(float, one.split()))) for one in re.findall(rb"/MediaBox \[([\d. ]+)\]", data)}
    assert all(abs(box[2] - width) <= 1 and abs(box[3] - height) <= 1 for box in boxes), boxes
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", data))


@pytest.mark.whole
@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_each_clip_has_a_sheet_of_paper_to_itself(tmp_path: Path, paper: str) -> None:
    """Printed by Chromium: four clips more take four sheets more, so that no table of a clip is split."""
    few, many = (pages(render_report(*manifest(clips), (), statement=STATEMENT), tmp_path, paper) for clips in (8, 12))
    assert many - few == 4


@pytest.mark.whole
def test_the_count_of_sheets_sees_a_table_that_is_split(tmp_path: Path) -> None:
    """The test above is judged by a clip with more to tell than a sheet of paper holds."""
    note = "\n".join("Sie kam von links." for _ in range(90))
    few, many = (pages(render_report(*manifest(clips, facts={"note": note}), ()), tmp_path, "A4") for clips in (1, 2))
    assert many - few > 1


@pytest.mark.whole
def test_the_certificate_of_a_clip_takes_two_sheets(tmp_path: Path) -> None:
    assert pages(render_certificate(manifest()[0], statement=STATEMENT), tmp_path, "Letter") == 2
