"""Witnesses: somebody else signs a checkpoint after looking that the log only grew (C2SP tlog-witness)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from pipeline.log.checkpoint import Checkpoint, encoded
from pipeline.log.note import COSIGNATURE, BadNote, Note, Signature, Verifier, signatures_in
from pipeline.log.tiles import Tiles
from workers.settings import WitnessSettings

_TRIES: Final = 3  # from no knowledge; from what it said it knows; once more where somebody else asked meanwhile
_MOST_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What came of asking one witness: its signature, or why there is none. `alarm`: it contradicts the log itself."""

    url: str
    signatures: tuple[Signature, ...] = ()
    trouble: str = ""
    alarm: bool = False


def cosigned(note: Note, tiles: Tiles, witnesses: Sequence[WitnessSettings], *, timeout_s: float) -> list[Witnessed]:
    """Ask all witnesses at once for their signatures under a signed checkpoint; whoever is silent costs `timeout_s`."""
    if not witnesses:
        return []
    with ThreadPoolExecutor(len(witnesses)) as pool:
        return list(pool.map(lambda one: _ask(note, tiles, one, timeout_s=timeout_s), witnesses))


def key_of(witness: WitnessSettings) -> Verifier:
    """Return the key of its cosignatures."""
    return replace(Verifier.parse(witness.key), kind=COSIGNATURE)


def _ask(note: Note, tiles: Tiles, witness: WitnessSettings, *, timeout_s: float) -> Witnessed:
    import urllib3

    size, old = Checkpoint.parse(note.text).size, 0
    url = f"{witness.url}/add-checkpoint"
    timeout = urllib3.Timeout(total=timeout_s)
    try:
        with urllib3.PoolManager(num_pools=1, retries=False, timeout=timeout) as pool:
            for _ in range(_TRIES):
                lines = [f"old {old}", *map(encoded, tiles.consistency(old))]
                body = "".join(f"{line}\n" for line in lines) + f"\n{note}"
                answer = pool.request("POST", url, body=body.encode(), redirect=False, preload_content=False)
                status, said = answer.status, answer.read(_MOST_BYTES).decode(errors="replace")
                answer.release_conn()
                if status != 409:
                    break
                if not said.strip().isdecimal():
                    return Witnessed(witness.url, trouble=f"answered 409 and no size: {said[:80]!r}")
                old = int(said)
                if old > size:
                    told = f"has signed this log with {old} entries, and it has {size} now: its end was cut off"
                    return Witnessed(witness.url, trouble=told, alarm=True)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        return Witnessed(witness.url, trouble=f"is silent: {error}")
    if status == 422:
        told = f"says that this is not the continuation of what it signed before ({old} entries): {said[:120]!r}"
        return Witnessed(witness.url, trouble=told, alarm=True)
    if status != 200:
        return Witnessed(witness.url, trouble=f"answered {status}: {said[:120]!r}")
    return _read(note, witness, said)


def _read(note: Note, witness: WitnessSettings, said: str) -> Witnessed:
    key = key_of(witness)
    try:
        mine = tuple(one for one in signatures_in(said) if (one.name, one.id) == (key.name, key.id))
        for one in mine:
            key.when(note.text, one)
    except BadNote as error:
        return Witnessed(witness.url, trouble=str(error))
    if not mine:
        return Witnessed(witness.url, trouble=f"signed with another key than {key.name}")
    return Witnessed(witness.url, mine)
