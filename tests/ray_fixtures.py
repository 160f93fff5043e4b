"""One Ray for the whole run of tests: starting it takes seconds, and every batch uses the one that is there."""

from collections.abc import Iterator

import pytest

from workers.batch import session
from workers.settings import BatchSettings


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    with session(BatchSettings(workers=2)):
        yield
