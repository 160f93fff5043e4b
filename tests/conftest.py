"""Fixtures every module shares: the real footage, where it is there."""

import os
from pathlib import Path

import pytest

_FOOTAGE = Path(os.environ.get("LAMPLIGHTER_FOOTAGE", Path(__file__).parents[2] / "shared" / "footage"))


@pytest.fixture(scope="session")
def footage() -> Path:
    """The folder of real clips (`clips/`, `labelled/`); tests that need it are counted as skipped elsewhere."""
    if not (_FOOTAGE / "clips").is_dir():
        pytest.skip(f"no real footage at {_FOOTAGE}; set LAMPLIGHTER_FOOTAGE to a folder with clips/ and labelled/")
    return _FOOTAGE
