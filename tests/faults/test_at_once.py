"""Two who do the same at once: what they leave, and what the log says of it, is what one would have left."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import workers.deliver
from fleet_fixtures import CAMERAS, Films, a_request, answer, ask, put_film
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.desk.tally import Tally
from logged import entries, whole
from pipeline.case.request import Request

pytestmark = pytest.mark.whole


@pytest.fixture
def asked(desk: Desk, films: Films, tmp_path: Path) -> Request:
    for camera in CAMERAS[:3]:
        put_film(films.moving, tmp_path / "in", camera.id)
        put_film(films.other, tmp_path / "in", camera.id, after_s=60)
    desk.ingest([str(tmp_path / "in")])
    request = ask(desk, a_request())
    for owner in ("piet", "ruth"):
        answer(desk, request, owner, share=None)
    return request


def both_deliver(desk: Desk, request: Request) -> list[Tally]:
    def one(_: int) -> Tally:
        with open_desk(desk.settings) as mine:
            return mine.deliver(request)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, range(2)))


def test_two_deliveries_at_once_log_each_clip_once(desk: Desk, asked: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has handed a clip over before either logs it, wherever both have it to hand over."""
    real, met = workers.deliver.hand_over, threading.Barrier(2)

    def hand_over(*args: Any, **named: Any) -> bool:
        done = real(*args, **named)
        with suppress(threading.BrokenBarrierError):
            met.wait(5)
        return done

    monkeypatch.setattr("lamplighter.desk.delivery.hand_over", hand_over)
    both_deliver(desk, asked)
    said = Counter((one.action, one.subject) for one in entries(desk._holdings.archive))
    told = {subject: count for (action, subject), count in said.items() if action == "delivered"}
    assert len(told) == 6
    assert set(told.values()) == {1}
    assert all(said["delivered of", key] == 1 for key in told)
    whole(desk)


def test_two_deliveries_at_once_remove_what_nobody_accounts_for_and_say_so_once(desk: Desk, asked: Request) -> None:
    stray = f"cases/{asked.id}/{'0' * 32}.mp4"
    desk.deliver(asked)
    desk._holdings.archive.store.put(stray, b"nobody's")
    both_deliver(desk, asked)
    said = [one for one in entries(desk._holdings.archive) if one.action == "removed from case"]
    assert [one.subject for one in said] == [stray]
