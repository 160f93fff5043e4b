"""The attack of fifteen areas on a camera that always shares, through the whole desk, by two agencies together."""

from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest
import shapely

import sieges
from fleet_fixtures import Films, a_request, approve, change, move_in, put_film, staff
from lamplighter.desk.desk import Desk
from pipeline.actor import Role
from pipeline.case.area import Area, cell_of
from pipeline.clip import Camera, Sharing
from pipeline.errors import RequestRefused
from pipeline.people import Agency

pytestmark = pytest.mark.whole

GROUND = sieges.Ground(4.9503, 52.0502)
HIDDEN = Camera("hidden", *GROUND.place(41.3, -77.9), "otis", Sharing.ALWAYS)


@pytest.fixture
def besieged(desk: Desk, films: Films, tmp_path: Path) -> Desk:
    """A desk with one camera that always shares on the ground, its film, and a second agency."""
    staff(desk)
    move_in(desk, [HIDDEN])
    put_film(films.moving, tmp_path / "in", HIDDEN.id)
    desk.ingest([str(tmp_path / "in")])
    desk.add_agency(Agency("county", "County sheriff", "desk 1"))
    desk.add_person("carl", Role.OFFICER, agency="county")
    return desk


class Agencies:
    """Two agencies that ask in turn, each time under another case number, and see what lies in the case's folder."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._who = desk, cycle([("otto", "town"), ("carl", "county")])
        self.told: list[tuple[Area, bool]] = []

    def answer(self, area: Area) -> bool:
        who, agency = next(self._who)
        asked = replace(a_request(case=f"no {len(self.told)} of {agency}"), area=area, agency=agency)
        made = self._desk.acting_for(who).new_request(asked)
        approve(self._desk, made)
        self._desk.send(made)
        self._desk.deliver(made)
        came = any(self._desk._holdings.archive.store.keys(f"cases/{made.id}/"))
        self.told.append((made.area, came))
        return came


def test_fifteen_permitted_areas_tell_the_cell_and_no_more(besieged: Desk) -> None:
    limits = besieged.settings.request
    # As it is over many months: no request counts to an earlier one's incident.
    change(besieged, request=limits.model_copy(update={"incident_days": 0, "max_per_incident": 100}))
    agencies = Agencies(besieged)
    series = list(sieges.halving(GROUND, agencies.answer))
    assert len(agencies.told) == len(series) == 15
    assert {answer for _, answer in agencies.told} == {True, False}

    steps = range(-300, 301, 20)
    fitting = []
    for place in ((x + 41.3, y - 77.9) for x in steps for y in steps):
        camera = replace(HIDDEN, lon=GROUND.place(*place)[0], lat=GROUND.place(*place)[1])
        same = cell_of(camera.lon, camera.lat, limits.cell_m) == cell_of(HIDDEN.lon, HIDDEN.lat, limits.cell_m)
        fits = all(area.covers(camera) == answer for area, answer in agencies.told)
        assert fits or not same
        if fits:
            fitting.append(place)
    assert shapely.minimum_bounding_radius(shapely.MultiPoint(fitting)) >= 150


def test_by_the_rules_as_they_are_each_agency_gets_two_answers_on_a_place(besieged: Desk) -> None:
    agencies = Agencies(besieged)
    refused = 0
    for area in sieges.halving(GROUND, lambda _: True, requests=6):
        try:
            agencies.answer(area)
        except RequestRefused as error:
            assert error.rule == "bulk"  # noqa: PT017 - some are answered
            refused += 1
    assert (len(agencies.told), refused) == (4, 2)
