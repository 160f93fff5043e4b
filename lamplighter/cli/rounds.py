"""`lamplighter rounds`: what falls due by itself, again and again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.answers import BUG
from lamplighter.cli.options import Json, RayAddress, Workers, desk_of, length_ns
from pipeline.errors import ConfigError, LamplighterError, MachineError, StoreUnavailable
from pipeline.span import NS

if TYPE_CHECKING:
    from lamplighter.desk.desk import Desk


def rounds(
    context: typer.Context,
    *,
    once: Annotated[bool, typer.Option("--once", help="Go one round and end.")] = False,
    for_: Annotated[str, typer.Option("--for", help="End after this long, e.g. 8h; default: until Ctrl-C.")] = "",
    every: Annotated[str, typer.Option(help="How long from one round to the next, e.g. 30s.")] = "1m",
    workers: Workers = None,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Go the rounds: send what is approved, post the letters that are due, cut what owners let out, and release it.

    What was shared is released at the ticks of `case.tick_s`; a request closes by the clock alone. Once an hour what is
    past its time is removed (`lamplighter retention run`). A round that was killed is simply gone again. A store that
    is away is tried again in the next round.
    """
    if once and for_:
        raise ConfigError("--once and --for: one round, or rounds for a time, not both")
    every_s = length_ns(every, "--every") / NS
    until = time.monotonic() + length_ns(for_) / NS if for_ else None
    from lamplighter.cli import tables

    if until is None and not once and not as_json:
        tables.tell(f"Going the rounds every {every}, until Ctrl-C.")
    told: Counter[str] = Counter()
    worst = 0
    with desk_of(context, batch={"workers": workers, "ray_address": ray_address}) as desk, desk.session():
        goes = _Goes(desk, quiet=as_json)
        try:
            while True:
                began = time.monotonic()
                counts, bad = goes.once() if once else goes.patiently()
                told.update({**counts, "rounds": 1})
                worst = max(worst, bad)
                wait_s = max(0.0, began + every_s - time.monotonic())
                if once or (until is not None and time.monotonic() + wait_s >= until):
                    break
                time.sleep(wait_s)
        except KeyboardInterrupt:
            tables.tell("Ending: what this round has not done the next one does.")
    if as_json:
        tables.write_json({name: told[name] for name in ("rounds", *_COUNTED)})
    elif not any(told[name] for name in _COUNTED):
        tables.say("Nothing was due.")
    if worst:
        raise typer.Exit(worst)


_COUNTED = ("sent", "posted", "released", "expired", "set aside", "put off")


class _Goes:
    """The rounds of one run: what was set aside or put off is told, and counted, once."""

    def __init__(self, desk: Desk, *, quiet: bool) -> None:
        self._desk, self._quiet = desk, quiet
        self._done: dict[str, int] = {}
        self._said: set[tuple[str, ...]] = set()

    def patiently(self) -> tuple[dict[str, int], int]:
        """Go one round as `once` does; a store that is away is tried again in the next one."""
        from lamplighter.cli import tables

        try:
            return self.once()
        except StoreUnavailable as error:
            tables.warn(f"{error}; tried again in the next round")
            return {}, 0

    def once(self) -> tuple[dict[str, int], int]:
        """Go one round; return what was done, and the exit code it earns."""
        from lamplighter.cli import tables

        went = self._desk.rounds(self._done)
        posted = self._post()
        receipts = [receipt for _, tally in went.delivered for receipt in tally.aside]
        aside = self._fresh([(one.job.name, one.station, one.reason) for one in receipts])
        failed = self._fresh(went.failed)
        for told in aside:
            tables.tell(f"set aside: {': '.join(told)}")
        for request, why in failed:
            tables.warn(f"request {request}: {why}")
        bugs = {receipt.place: receipt.trace for receipt in receipts if receipt.trace}
        tables.tell_bugs(bugs)
        counts = {"sent": len(went.sent), "posted": posted, "released": went.released, "expired": went.expired}
        counts |= {"set aside": len(aside), "put off": len(failed)}
        if any(counts.values()) and not self._quiet:
            tables.say(", ".join(f"{name} {count}" for name, count in counts.items() if count))
        return counts, BUG if bugs else 1 if aside or failed else 0

    def _post(self) -> int:
        """Post the letters that are due; what hinders that is told once, and hinders nothing else."""
        from lamplighter.cli import tables

        try:
            return sum(self._desk.post().sent.values())
        except (StoreUnavailable, MachineError):
            raise
        except LamplighterError as error:
            for (told,) in self._fresh([(f"letters were not posted: {error}",)]):
                tables.warn(told)
            return 0

    def _fresh(self, found: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
        fresh = [one for one in dict.fromkeys(found) if one not in self._said]
        self._said.update(fresh)
        return fresh
