"""Attacks by the people themselves: what one of them could learn, or let out, that is another's."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_fixtures import Films, a_request, as_owner, ask, put_film, staff, submit
from lamplighter.desk.desk import Desk


def test_no_officer_is_refused_for_what_an_owner_asked_for_their_own_footage(desk: Desk) -> None:
    staff(desk)
    for case in ("mine", "mine too"):
        own = replace(a_request(case=case), agency="town", own="piet")
        as_owner(desk, "piet").new_request(own)
    assert submit(desk, a_request()).agency == "town"
