"""Many small objects read ahead, several at once: on S3 each of them is a wait and hardly a transfer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from pipeline.activity import Activity
from pipeline.errors import DamagedDocument
from storage.access import StoreSettings
from storage.archive import Archive
from workers.patience import Patient

_AT_ONCE = 16


def activities(keys: Iterable[str], store: StoreSettings) -> Iterator[Activity | DamagedDocument]:
    """Yield the activity under each key, in their order; at most some dozens are held in memory.

    Of one that is gone or damaged, yield the error that says so. Raises StoreUnavailable or StoreRefused when the store
    is.
    """
    stored = Archive(Patient.open(store)).activity_at

    def read(key: str) -> Activity | DamagedDocument:
        try:
            return stored(key)
        except DamagedDocument as error:
            return error

    if store.kind == "directory":  # it answers at once, and threads would only take turns
        yield from map(read, keys)
        return
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="reading")
    ahead: deque[Future[Activity | DamagedDocument]] = deque()
    try:
        for key in keys:
            ahead.append(pool.submit(read, key))
            if len(ahead) == 2 * _AT_ONCE:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
