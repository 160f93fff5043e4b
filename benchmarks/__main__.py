"""Run benchmarks one after the other, each in a process of its own: `python -m benchmarks [NAME ...] [--quick]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import report

# The order counts: the first ones need the quietest machine.
NAMES = (
    "stages",
    "cuts",
    "seal",
    "peers",
    "scaling",
    "scale",
    "load",
    "catalogue",
    "log",
    "letters",
    "alerts",
    "expiry",
    "tuning",
    "pages",
    "activity",
    "quality",
    "decisions",
)


def main() -> int:
    """Run those asked for (all by default), say which targets are missed; 1 when one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="small forms, some minutes together")
    parser.add_argument("--out", type=Path, help="folder of results and plots")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.names if name not in NAMES]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; wanted some of {', '.join(NAMES)}")
    folder = chosen.out or report.folder_of(quick=chosen.quick)
    began, failed = time.monotonic(), []
    names = [name for name in NAMES if name in chosen.names or not chosen.names]
    for name in names:
        started = time.monotonic()
        words = [sys.executable, "-m", f"benchmarks.{name}", "--out", str(folder)]
        done = subprocess.run([*words, "--quick"] if chosen.quick else words, check=False)
        if done.returncode:
            failed.append(name)
        print(f"({name}: {time.monotonic() - started:.0f} s)", flush=True)
    documents = [report.load(folder / f"{name}.json") for name in names if name not in failed]
    _, lines = report.targets(documents)
    print(f"\n{len(names)} benchmarks in {time.monotonic() - began:.0f} s, results in {folder}")
    for benchmark, what, measured, target, met in lines:
        print(f"{'met   ' if met == 'yes' else 'MISSED'}  {benchmark}: {what}: {target}, measured {measured}")
    for name in failed:
        print(f"FAILED  {name}: see above")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
