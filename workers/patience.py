"""A store that waits out short outages, so that a unit of work does not lose its decoding to a dropped connection."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from typing import ParamSpec, TypeVar

from pipeline.errors import StoreUnavailable
from storage.objects import Credentials, Head, ObjectStore, StoreSettings, open_store

P = ParamSpec("P")
T = TypeVar("T")
_WAITS_S = (0.2, 0.5, 1.0, 2.0)


class Patient:
    """An ObjectStore that asks `store` up to five times over some four seconds before it says StoreUnavailable.

    Safe because keys are functions of the work: a put that arrived but was not acknowledged is put again unchanged.
    An `if_absent` put that is tried again may find its own bytes there and return False.
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

    def ensure_bucket(self) -> None:
        """See ObjectStore."""
        _patiently(self._store.ensure_bucket)

    def put(
        self, key: str, data: bytes | Path, *, meta: Mapping[str, str] | None = None, if_absent: bool = False
    ) -> bool:
        """See ObjectStore."""
        return _patiently(self._store.put, key, data, meta=meta or {}, if_absent=if_absent)

    def draft(self, suffix: str = "") -> AbstractContextManager[Path]:
        """See ObjectStore."""
        return self._store.draft(suffix)

    def adopt(self, path: Path, key: str, *, meta: Mapping[str, str] | None = None) -> None:
        """See ObjectStore."""
        _patiently(self._store.adopt, path, key, meta=meta or {})

    def copy(self, source: str, key: str, *, meta: Mapping[str, str] | None = None) -> None:
        """See ObjectStore."""
        _patiently(self._store.copy, source, key, meta=meta or {})

    def get(self, key: str) -> bytes:
        """See ObjectStore."""
        return _patiently(self._store.get, key)

    def fetch(self, key: str, path: Path) -> str:
        """See ObjectStore."""
        return _patiently(self._store.fetch, key, path)

    def read(self, key: str, *, start: int, length: int) -> bytes:
        """See ObjectStore."""
        return _patiently(self._store.read, key, start=start, length=length)

    def head(self, key: str) -> Head | None:
        """See ObjectStore."""
        return _patiently(self._store.head, key)

    def keys(self, prefix: str = "", *, after: str = "") -> Iterator[str]:
        """See ObjectStore; a listing that breaks off is taken up behind the last key it gave."""
        last, failures = after, 0
        while True:
            try:
                for key in self._store.keys(prefix, after=last):
                    last, failures = key, 0
                    yield key
            except StoreUnavailable:
                if failures == len(_WAITS_S):
                    raise
                time.sleep(_WAITS_S[failures])
                failures += 1
            else:
                return

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        _patiently(self._store.delete, key)


def pauses(first_s: float, most_s: float) -> Iterator[float]:
    """Yield for ever how long to wait before the next try (s), for who waits on something that can end the wait.

    From `first_s` to twice as much at first, then twice as long each time, never longer than `most_s`.
    """
    for number in count():
        # Past 2 ** 60 it is `most_s` whatever came before, and no float can hold the power for ever.
        yield min(most_s, first_s * 2 ** min(number, 60) + random.uniform(0, first_s))  # noqa: S311 - chance, no secret


def _patiently(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    for wait_s in _WAITS_S:
        try:
            return call(*args, **kwargs)
        except StoreUnavailable:
            time.sleep(wait_s)
    return call(*args, **kwargs)
