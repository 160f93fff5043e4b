"""Counts what came of the world by container and codec: the data of docs/reference/formats.md.

`PYTHONPATH=.:tests python -m world.counts` takes all films on their trip (minutes) and writes docs/formats.json anew.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

from world.journey import ASKS, Judged, films_at, travel

FILE: Final = Path(__file__).parents[2] / "docs" / "formats.json"


def journeys(folder: Path) -> dict[str, Judged]:
    """Return what came of every film by its name, two places at a time: each is a store and a process of its own."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = [pool.submit(travel, place, folder / place) for place in ASKS]
        return {name: judged for one in done for name, judged in one.result().items()}


def rows(judged: Mapping[str, Judged]) -> list[dict[str, Any]]:
    """Return one row for every container and codec, in the order of the world."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for film in (film for place in ASKS for film, _ in films_at(place)):
        codec = film.codec.partition("-")[0]
        row = found.setdefault(
            (film.container, codec),
            {"container": film.container, "codec": codec, "films": 0, "taken": 0, "copied": 0, "encoded": 0}
            | {"sound": [], "leaves": [], "marks": 0, "found": 0, "faults": 0},
        )
        one = judged[film.name]
        row["films"] += 1
        row["taken"] += one.taken
        row["faults"] += sum(map(len, one.faults.values()))
        row["marks"] += one.marks
        row["found"] += len(one.leaks)
        row["sound"] = sorted({*row["sound"], film.sound} - {""})
        row["leaves"] = sorted({*row["leaves"], *(sound for *_, sound in one.ways if sound)})
        for _, method, *_ in one.ways:
            row["copied" if method == "remux" else "encoded"] += 1
    order = list(dict.fromkeys(container for container, _ in found))
    return sorted(found.values(), key=lambda row: order.index(row["container"]))


def written(of: list[dict[str, Any]]) -> str:
    """Return the document, a line a row."""
    return "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in of) + "\n]\n"


def main() -> None:
    """Take the trip and write its counts."""
    with tempfile.TemporaryDirectory(prefix="world-") as folder:
        for place in ASKS:
            (Path(folder) / place).mkdir()
        FILE.write_text(written(rows(journeys(Path(folder)))), encoding="utf-8")


if __name__ == "__main__":
    main()
