"""How to wait for what is away for a moment: the one policy of back-off, and a store that keeps to it.

Every pause is longer than the one before and partly left to chance, so that many who were refused together do not come
back together.
"""

from __future__ import annotations

import os
import platform
import random
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import stamina
import stamina.instrumentation

from pipeline.errors import ConfigError, MailUnavailable, StoreUnavailable
from storage.access import Credentials, StoreSettings
from storage.contract import Head, ObjectStore
from storage.objects import open_store

P = ParamSpec("P")
T = TypeVar("T")
TRIES: Final = 5
_FIRST_S, _MOST_S = 0.2, 2.0
_TIMES_A_PAUSE = 2.0

# Whoever waits says so itself where it matters; the library would log each pause and count it in Prometheus.
stamina.instrumentation.set_on_retry_hooks(())
_again = stamina.RetryingCaller(
    attempts=TRIES,
    timeout=None,
    wait_initial=_FIRST_S,
    wait_max=_MOST_S,
    wait_jitter=_FIRST_S,
    wait_exp_base=_TIMES_A_PAUSE,
).on((StoreUnavailable, MailUnavailable))


def patiently(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call what may find a server away, up to `TRIES` times over three to four seconds, and return what it returns.

    A try in which something arrived that is not sent again begins the count anew. Raises the last StoreUnavailable or
    MailUnavailable, and whatever else the call raises at once.
    `stamina.set_testing` takes the pauses out of a test.
    """
    try:
        return call(*args, **kwargs)
    except (StoreUnavailable, MailUnavailable) as error:
        told = [error]
    moved = False

    def next_try() -> T:
        nonlocal moved
        # The library starts only now, with what the first try found: entering it costs as much as reading a small file.
        if told:
            raise told.pop()
        try:
            return call(*args, **kwargs)
        except StoreUnavailable as error:
            moved = moved or error.moved
            raise

    while True:
        try:
            return _again(next_try)
        except StoreUnavailable as error:
            if not moved:
                raise
            told, moved = [error], False


def pauses(first_s: float, most_s: float) -> Iterator[float]:
    """Yield for ever how long to wait before the next try (s), for who waits on something that can end the wait.

    From `first_s` to twice as much at first, then twice as long each time, never longer than `most_s`.
    """
    for number in count():
        # Past 2 ** 60 it is `most_s` whatever came before, and no float can hold the power for ever.
        grown_s = first_s * _TIMES_A_PAUSE ** min(number, 60)
        yield min(most_s, grown_s + random.uniform(0, first_s))  # noqa: S311 - chance, not secrecy


class Patient:
    """An ObjectStore that asks `store` up to five times over three to four seconds before it says StoreUnavailable.

    Safe because keys are functions of the work: a put that arrived but was not acknowledged is put again unchanged.
    An `if_absent` put that is tried again may find its own bytes there and return False. Threads may share one.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def open(cls, settings: StoreSettings) -> Patient:
        """Open a store with the credentials in this process's environment."""
        return cls(open_store(settings, Credentials.from_env(os.environ)))

    @property
    def url(self) -> str:
        """Where the store is, for messages."""
        return self._store.url

    def ensure_bucket(self, *, make: bool = True) -> None:
        """See ObjectStore."""
        patiently(self._store.ensure_bucket, make=make)

    def clean(self, *, older_s: float = 0.0) -> list[str]:
        """See ObjectStore."""
        return patiently(self._store.clean, older_s=older_s)

    def put(
        self, key: str, data: bytes | Path, *, meta: Mapping[str, str] | None = None, if_absent: bool = False
    ) -> bool:
        """See ObjectStore."""
        return patiently(self._store.put, key, data, meta=meta or {}, if_absent=if_absent)

    def draft(self, suffix: str = "") -> AbstractContextManager[Path]:
        """See ObjectStore."""
        return self._store.draft(suffix)

    def adopt(self, path: Path, key: str, *, meta: Mapping[str, str] | None = None) -> None:
        """See ObjectStore."""
        patiently(self._store.adopt, path, key, meta=meta or {})

    def copy(self, source: str, key: str, *, meta: Mapping[str, str] | None = None) -> None:
        """See ObjectStore."""
        patiently(self._store.copy, source, key, meta=meta or {})

    def get(self, key: str) -> bytes:
        """See ObjectStore."""
        return patiently(self._store.get, key)

    def fetch(self, key: str, path: Path) -> str:
        """See ObjectStore."""
        return patiently(self._store.fetch, key, path)

    def read(self, key: str, *, start: int, length: int) -> bytes:
        """See ObjectStore."""
        return patiently(self._store.read, key, start=start, length=length)

    def head(self, key: str) -> Head | None:
        """See ObjectStore."""
        return patiently(self._store.head, key)

    def keys(self, prefix: str = "", *, after: str = "") -> Iterator[str]:
        """See ObjectStore; a listing that breaks off is taken up behind the last key it gave."""
        return _taken_up(lambda last: self._store.keys(prefix, after=last), str, after)

    def listing(self, prefix: str = "", *, after: str = "") -> Iterator[tuple[str, Head, int]]:
        """See ObjectStore; taken up as that of `keys`."""
        return _taken_up(lambda last: self._store.listing(prefix, after=last), lambda one: one[0], after)

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        patiently(self._store.delete, key)

    def delete_many(self, keys: Collection[str]) -> list[str]:
        """See ObjectStore."""
        return patiently(self._store.delete_many, keys)


def _taken_up(listed: Callable[[str], Iterator[T]], key: Callable[[T], str], after: str) -> Iterator[T]:
    """Yield what `listed` gives of what comes after a key, behind the last one again when it breaks off."""
    listing = listed(after)

    def take_up() -> T | None:
        nonlocal listing
        listing = listed(after)
        return next(listing, None)

    while True:
        try:
            found = next(listing, None)
        except StoreUnavailable:
            found = patiently(take_up)
        if found is None:
            return
        after = key(found)
        yield found


@lru_cache(maxsize=8)
def open_once(settings: StoreSettings) -> Patient:
    """Open a store, once in each process: threads may share it.

    Raises ConfigError, which names the node where this is a worker of Ray: its environment is not the driver's.
    """
    try:
        return Patient.open(settings)
    except ConfigError as error:
        if where := _node():
            raise ConfigError(f"on node {where}: {error}; each node needs it in its own environment") from error
        raise


def _node() -> str:
    """Return name and address of the node where this is a worker of Ray; nothing in any other process."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return ""
    context = ray.get_runtime_context()
    if context.get_task_id() is None and context.get_actor_id() is None:
        return ""
    return f"{platform.node()} ({ray.util.get_node_ip_address()})"
