import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.case.delivery import CaseKey, Delivery
from pipeline.case.released import commitment
from pipeline.span import NS, Span
from samples import NOON, clip, delivery, request

ONE = delivery(request())


def test_what_a_requester_sees_can_be_loaded_without_cameras_and_decisions() -> None:
    code = "import sys, pipeline.case.released; print(*sorted(m for m in sys.modules if m.startswith('pipeline')))"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["pipeline", "pipeline.case", "pipeline.case.released", "pipeline.span"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"actual": Span(NOON - NS, NOON + NS)}, "inside the asked time"),
        ({"method": "magic"}, "remux, smart or transcode"),
        ({"method": "smart"}, "some of a smart cut"),
        ({"method": "smart", "native": ((0, 900),)}, "some of a smart cut"),
        ({"method": "transcode"}, "none of a transcode"),
        ({"native": ((0, 899),)}, "all frames of a remux"),
        *(
            ({"method": "smart", "native": wrong}, "some of a smart cut")
            for wrong in (((5, 5),), ((7, 5),), ((-1, 5),), ((2, 901),), ((0, 5), (4, 9)), ((6, 9), (0, 5)))
        ),
        ({"size": 0}, "bytes, frames"),
        ({"sha256": "ab"}, "a SHA-256"),
        ({"key": ""}, "a key"),
        ({"name": "door-17"}, "hexadecimal digits"),
        ({"name": ""}, "hexadecimal digits"),
    ],
)
def test_a_record_that_cannot_be_true_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(ONE.record, **fields)


def test_a_delivery_is_of_the_request_its_record_is_of() -> None:
    with pytest.raises(ValueError, match="its record for"):
        replace(ONE, request="r000000000000")


KEYS = st.binary(min_size=32, max_size=32).map(lambda secret: CaseKey("r1", secret.hex()))


@given(KEYS, KEYS)
def test_names_and_salts_follow_from_the_key_the_request_and_the_cut_alone(one: CaseKey, other: CaseKey) -> None:
    assert (one.name("ab"), one.salt("ab")) == (one.name("ab"), one.salt("ab"))
    told = [one.name("ab"), one.name("ac"), one.salt("ab")[:32], replace(one, request="r2").name("ab")]
    assert len(set(told)) == len(told)
    assert (one == other) == (one.name("ab") == other.name("ab"))


def test_a_commitment_opens_with_its_salt_and_its_source_alone() -> None:
    salts, sources = ("00" * 32, "01" * 32), (hashlib.sha256(b"a").hexdigest(), clip().sha256)
    made = {commitment(salt, source) for salt in salts for source in sources}
    assert len(made) == 4
    assert not made & set(sources)


def test_neither_key_nor_delivery_shows_the_secret() -> None:
    key = CaseKey("r1", "5e" * 32)
    shown: list[CaseKey | Delivery] = [key, ONE]
    assert all("5e5e" not in repr(one) for one in shown)
