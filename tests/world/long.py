"""The long form of the two worlds: `PYTHONPATH=.:tests python -m world.long --steps 100000 --out worlds.json`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from world.twins import LABELS, Stock, compare

EPISODE: int = 300


def main() -> int:
    """Take pairs of worlds through so many steps, each pair through 300; end with 1 when two could be told apart."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--steps", type=int, default=100_000)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--thorough", action="store_true", help="ask for every view after every step")
    words.add_argument("--out", type=Path, help="where the figures go, after each pair")
    given = words.parse_args()
    began_s, used_s = time.monotonic(), time.process_time()
    counts, steps, pairs, told_apart = Counter[str](), 0, 0, list[str]()
    with tempfile.TemporaryDirectory(prefix="worlds-") as name:
        stock = Stock(Path(name) / "stock")
        while steps < given.steps:
            seed = given.seed + pairs
            with tempfile.TemporaryDirectory(dir=name) as folder:
                found, twins = compare(
                    Path(folder), stock, seed=seed, steps=EPISODE, cli_every=50, sparing=not given.thorough
                )
            steps, pairs = steps + twins.number, pairs + 1
            counts.update(twins.told or twins.done)
            told_apart += [f"seed {seed}, step {one}" for one in found]
            for known in (LABELS.clips, LABELS.cuts, LABELS.cameras):
                known.clear()
            figures = {
                "steps": steps,
                "pairs": pairs,
                "told apart": told_apart,
                "seconds": round(time.monotonic() - began_s, 1),
                "cpu seconds": round(time.process_time() - used_s, 1),
                "counts": dict(sorted(counts.items())),
            }
            if given.out:
                given.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 1 if told_apart else 0


if __name__ == "__main__":
    sys.exit(main())
