"""The API: what its description promises holds, whoever asks whatever; and each role has its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from lamplighter.desk.rehearsal import OFFICER, REVIEWERS
from pipeline.case.request import Request
from web_fixtures import AUDITOR, LEGAL, OPERATOR, Village, copied, served

pytestmark = pytest.mark.whole

WHO = (OFFICER, REVIEWERS[0], LEGAL, OPERATOR, AUDITOR, "owner")


@pytest.fixture(scope="module")
def place(village_kept: tuple[Path, Request], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    folder = copied(village_kept[0], tmp_path_factory.mktemp("api"))
    with served(folder, village_kept[1], api=True) as found:
        yield found


def person_of(place: Village, who: str) -> str:
    return place.asked[0] if who == "owner" else who


def headers_of(place: Village, who: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {place.desk.make_token(person_of(place, who))}"}


CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.parametrize("who", WHO)
def test_whatever_is_asked_is_answered_as_described_and_meets_no_bug(
    place: Village, who: str, how_long_asked: int, tmp_path: Path
) -> None:
    token = headers_of(place, who)["Authorization"]
    program = Path(sys.executable).with_name("schemathesis")
    words = [
        str(program),
        "run",
        f"{place.url}/api/openapi.json",
        "--checks",
        CHECKS,
        "--max-time",
        str(how_long_asked),
    ]
    words += ["--header", f"Authorization:{token}", "--warnings", "off", "--seed", "7", "--no-color"]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=how_long_asked + 120
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_without_a_token_that_holds_nothing_is_answered(place: Village) -> None:
    for headers in ({}, {"Authorization": "Bearer nothing"}, {"Authorization": "Basic eDp5"}):
        for path in ("/api/me", "/api/cases", "/api/requests", "/api/account", "/api/cameras"):
            assert httpx2.get(place.url + path, headers=headers).status_code == 401


def test_what_is_anothers_is_told_as_what_is_not_there(place: Village) -> None:
    paths = {
        OFFICER: "/api/cases",
        REVIEWERS[0]: "/api/requests",
        "owner": "/api/account",
        OPERATOR: "/api/cameras",
    }
    for who in WHO:
        headers = headers_of(place, who)
        told = {path: httpx2.get(place.url + path, headers=headers) for path in paths.values()}
        mine = {paths.get(who), "/api/requests" if who == LEGAL else None}
        for path, answer in told.items():
            assert (answer.status_code == 200) is (path in mine), (who, path)
        refused = {answer.content for path, answer in told.items() if path not in mine}
        refused.add(httpx2.get(f"{place.url}/api/cases/r{'0' * 40}", headers=headers_of(place, OPERATOR)).content)
        assert len(refused) == 1


def test_it_is_off_unless_it_is_asked_for(village: Village) -> None:
    assert httpx2.get(f"{village.url}/api/me").status_code == 404
