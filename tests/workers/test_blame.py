"""Who is to blame: the clip, a bug of ours, or what ends the run; and what is kept of a bug."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import av
import pytest

from pipeline.clip import check_id
from pipeline.errors import (
    ClipError,
    ConfigError,
    DamagedDocument,
    LamplighterError,
    MachineError,
    NotFound,
    StoreRefused,
    StoreUnavailable,
)
from storage.archive import clip_prefix
from workers.blame import Blame, blame


def calling(call: Callable[[], object]) -> Blame:
    try:
        call()
    except Exception as caught:  # noqa: BLE001 - what is blamed is what was caught
        return blame(caught)
    pytest.fail("it raised nothing")


def blamed(error: Exception, cause: Exception | None = None) -> Blame:
    def call() -> None:
        raise error from cause

    return calling(call)


def test_a_bad_clip_and_a_damaged_document_about_it_are_the_clips() -> None:
    assert blamed(ClipError("probe", "no video")) == Blame("probe", "no video")
    assert blamed(DamagedDocument("sources/x.json cannot be read")) == Blame("record", "sources/x.json cannot be read")


@pytest.mark.parametrize(
    "kind", [ConfigError, StoreUnavailable, StoreRefused, NotFound, MachineError, LamplighterError]
)
def test_other_errors_of_ours_end_the_run_as_they_are(kind: type[LamplighterError]) -> None:
    error = kind("so it is")
    with pytest.raises(kind) as told:
        blamed(error)
    assert told.value is error


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE])
def test_what_the_machine_lacks_is_no_fault_of_the_clip_at_whichever_station_it_was_met(code: int) -> None:
    met = OSError(code, os.strerror(code), "/place/file")
    of_libav = av.error.OSError(code, os.strerror(code), "/place/file")
    for error, cause in ((met, None), (ClipError("fetch", "cannot be read"), met), (ClipError("probe", "x"), of_libav)):
        with pytest.raises(MachineError, match=os.strerror(code)):
            blamed(error, cause)


@pytest.mark.parametrize("code", [errno.ENOMEM, errno.EIO, errno.EFBIG])
def test_what_libav_says_of_damaged_bytes_is_the_clips_and_what_the_system_says_is_the_machines(code: int) -> None:
    said = OSError(code, os.strerror(code), "/place/file")
    assert blamed(ClipError("decode", "cannot be read on"), said).station == "decode"
    with pytest.raises(MachineError):
        blamed(said)


def test_a_bug_is_named_by_its_type_and_by_the_innermost_place_in_our_code() -> None:
    ours = calling(lambda: check_id("camera", 7))  # type: ignore[arg-type]
    assert ours.station == "bug"
    assert ours.place.startswith("TypeError (pipeline.clip.check_id, line ")
    assert ours.reason.endswith(ours.place.removeprefix("TypeError "))
    assert calling(lambda: clip_prefix("camera", "now")).place != ours.place  # type: ignore[arg-type]


def test_of_an_enormous_or_hostile_message_a_plain_part_is_kept() -> None:
    said = blamed(ZeroDivisionError("\x1b]0;owned\x07 \u202egpj\udc80 " + "x" * 2**20))
    assert len(said.reason) < 500
    assert len(said.trace) < 25_000
    assert said.trace.startswith("Traceback (most recent call last):")
    assert all(one.isprintable() or one == "\n" for one in said.trace)
    assert said.reason.isprintable()
    (said.reason + said.trace).encode()


def test_an_error_without_words_is_told_by_its_type() -> None:
    assert blamed(AssertionError()).reason.startswith("AssertionError (")
