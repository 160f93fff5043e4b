"""The public page: no script, no host, a strict policy; every file from the figures alone."""

import base64
import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from public_worlds import agencies, answers, asked, head, random_world, world

from conftest import cannot_run
from lamplighter.report.transparency import NAMES, public_files, read
from pipeline.neighbourhood.figures import document, written
from pipeline.neighbourhood.public import Counted, Facts, count, due
from pipeline.neighbourhood.publicity import TransparencySettings
from pipeline.people import Agency
from samples import square

RULES = TransparencySettings()


def files(facts: Facts) -> dict[str, bytes]:
    by = {"cell_m": RULES.cell_m, "least": RULES.least_owners, "step": RULES.step}
    cells = {one: count(one, facts, **by) for one in due(facts, RULES, ())}
    counted = [Counted(one, **by, cells=found, open_size=1, kept_size=1) for one, found in cells.items()]
    return public_files(read(written(document(facts, counted, RULES))))


WORLDS = {
    "none": Facts(head(0)),
    "few": world([asked(1)], answers(asked(1).request, 4, 2)),
    "suppressed": world([asked(1), asked(2, place=1)], answers(asked(1).request, 30, 28)),
    "many": replace(
        random_world(3),
        agencies=(
            *agencies(12),
            Agency("wien", 'Polizei <b>"Wien"</b> & \u202eneiW', "d", place="040", area=(square(16.37, 48.2),)),
            Agency("sea", "=HYPERLINK(1)", "d"),
        ),
    ),
}


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids |= {value or "" for name, value in attrs if name == "id"}


@pytest.mark.parametrize("name", WORLDS)
def test_a_page_has_no_script_asks_no_host_and_its_links_lead_somewhere(name: str) -> None:
    found = files(WORLDS[name])
    for page, data in found.items():
        if not page.endswith(".html"):
            continue
        seen, text = _Seen(), data.decode()
        seen.feed(text)
        assert not seen.tags & {"script", "iframe", "img", "link", "form", "object", "b"}
        assert not [one for one, _ in seen.attributes if one.startswith("on") or one == "style"]
        links = [value for one, value in seen.attributes if one in {"href", "src"}]
        assert [link for link in links if not (link.removeprefix("#") in seen.ids or link in found)] == []
        assert "http:" not in text
        assert "https:" not in text
        style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
        assert style is not None
        digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        assert ("content", policy) in seen.attributes


@pytest.mark.parametrize("name", WORLDS)
def test_no_file_has_a_number_of_more_than_three_decimals_and_the_same_figures_are_the_same_files(name: str) -> None:
    found = files(WORLDS[name])
    assert found == files(WORLDS[name])
    for data in found.values():
        assert re.findall(rb"\d+\.\d{4,}", data) == []


def test_each_table_is_a_csv_whose_columns_are_defined() -> None:
    found = files(WORLDS["many"])
    defined = list(csv.DictReader(io.StringIO(found["definitions.csv"].decode())))
    tables: dict[str, Any] = json.loads(found["figures.json"])["tables"]
    assert set(NAMES) == set(tables)
    for name in NAMES:
        listed = list(csv.DictReader(io.StringIO(found[f"{name}.csv"].decode())))
        assert len(listed) == len(tables[name]["rows"])
        columns = {one["column"] for one in defined if one["table"] == name}
        assert columns == {"", *tables[name]["columns"]}
        for column in tables[name]["columns"]:
            assert column in (listed[0] if listed else tables[name]["columns"])
    assert b"'=HYPERLINK" in found["agencies.csv"], "a spreadsheet would compute it"


def test_a_state_leads_to_its_agencies_and_each_has_a_page_with_its_own_requests_alone() -> None:
    found = files(WORLDS["many"])
    index = found["index.html"].decode()
    assert 'href="#place-US-CA"' in index
    assert "California: 8 agencies" in index
    assert 'href="#place-040"' in index, "countries are drawn where one is elsewhere"
    assert "Polizei &lt;b&gt;" in index
    assert "\u202e" not in index
    one = found["agency-agency-1.html"].decode()
    mine = {row.request for row in WORLDS["many"].requests if row.agency == "agency-1"}
    others = {row.request for row in WORLDS["many"].requests} - mine
    assert mine
    assert all(request in one for request in mine)
    assert not [request for request in others if request in one]


@pytest.mark.whole
def test_chromium_shows_the_page_at_three_widths_without_a_word_of_complaint(tmp_path: Path) -> None:
    program = shutil.which("chromium")
    if program is None:
        cannot_run("no chromium here")
    for name, data in files(WORLDS["many"]).items():
        (tmp_path / name).write_bytes(data)
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    more = f"--enable-logging=stderr --disable-component-update --disable-sync --user-data-dir={tmp_path / 'user'}"
    for width in (500, 900, 1400):
        shot = tmp_path / f"{width}.png"
        words = [*flags.split(), *more.split(), f"--window-size={width},1600", f"--screenshot={shot}"]
        page = (tmp_path / "index.html").as_uri()
        done = subprocess.run([program, *words, page], capture_output=True, text=True, timeout=120, check=False)
        assert shot.stat().st_size > 20_000
        assert "Content Security Policy" not in done.stderr
