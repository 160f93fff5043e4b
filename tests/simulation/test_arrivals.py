"""How the clips of a fleet arrive."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.span import NS, Span
from simulation.arrivals import LONGEST_S, Arrival, arrivals, claimed_ns
from simulation.fleet import Mix, make_fleet
from simulation.settings import FleetSettings
from simulation.traffic import sights
from street_fixtures import START, small_fleet

patterns = st.builds(
    FleetSettings,
    late=st.sampled_from([0.0, 0.1, 1.0]),
    repeated=st.sampled_from([0.0, 0.2]),
    outages=st.sampled_from([0.0, 0.5, 1.0]),
    false_alarms=st.sampled_from([0.0, 5.0, 60.0]),
)


@given(seed=st.integers(0, 10**9), pattern=patterns, busy=st.sampled_from([0.0, 1.0, 20.0]))
@settings(max_examples=15)
def test_clips_come_in_order_after_their_end_apart_and_of_the_length_they_may_have(
    seed: int, pattern: FleetSettings, busy: float
) -> None:
    fleet = make_fleet(6, seed=seed, start_ns=START, hours=1, mix=Mix(busy=busy, continuous=0.3))
    seen = sights(fleet)
    coming = list(arrivals(fleet, seen, settings=pattern))
    assert all(before.arrival_ns <= after.arrival_ns for before, after in pairwise(coming))
    names: dict[str, Arrival] = {}
    for arrival in coming:
        camera = arrival.camera
        end_ns = arrival.start_ns + arrival.length_ns
        assert arrival.arrival_ns > end_ns
        assert fleet.start_ns <= arrival.start_ns < end_ns <= fleet.span.end_ns
        assert 0 < arrival.length_ns <= LONGEST_S * NS
        assert arrival.claimed_ns == claimed_ns(fleet, camera, arrival.start_ns)
        assert arrival.repeat == (arrival.name in names), "what comes twice is a repeat the second time"
        if arrival.repeat:
            first = names[arrival.name]
            assert replace(arrival, repeat=False, arrival_ns=first.arrival_ns) == first
        names[arrival.name] = arrival
    for camera in fleet.cameras:
        mine = sorted((u for u in names.values() if u.camera is camera), key=lambda u: u.start_ns)
        for before, after in pairwise(mine):
            assert before.first_gop + before.gops <= after.first_gop
        if camera.mode == "motion" and not pattern.outages:
            held = [frame for arrival in mine for frame in (arrival.frames.start, arrival.frames.stop)]
            for sight in seen[camera.id]:
                inside = np.searchsorted(held, [sight.frames.start, sight.frames.stop - 1], side="right")
                assert (inside % 2 == 1).all(), "whom it sees sets a camera off"
    if not (pattern.late or pattern.outages):
        assert all(u.repeat or u.arrival_ns - u.start_ns - u.length_ns <= pattern.upload_s * NS for u in coming)


def test_a_camera_that_records_on_end_leaves_nothing_out() -> None:
    fleet = small_fleet(3, continuous=1.0)
    coming = list(arrivals(fleet, sights(fleet), settings=FleetSettings(outages=0, late=0, repeated=0)))
    for camera in fleet.cameras:
        mine = [arrival for arrival in coming if arrival.camera is camera]
        assert mine[0].first_gop == 0
        assert all(before.frames.stop == after.frames.start for before, after in pairwise(mine))
        assert fleet.span.end_ns - (mine[-1].start_ns + mine[-1].length_ns) < camera.encoding.gop_s * NS * 2


def test_a_lost_connection_delays_clips_and_a_dead_camera_has_none() -> None:
    fleet = small_fleet(6, continuous=1.0)
    seen = sights(fleet)
    plain = FleetSettings(outages=0, late=0, repeated=0)
    every = {arrival.name for arrival in arrivals(fleet, seen, settings=plain)}
    delayed = list(arrivals(fleet, seen, settings=plain.model_copy(update={"outages": 1.0, "dead": 0.0})))
    assert {arrival.name for arrival in delayed} == every
    assert sum(arrival.arrival_ns - arrival.start_ns - arrival.length_ns > 60 * NS for arrival in delayed) > 20
    dead = {u.name for u in arrivals(fleet, seen, settings=plain.model_copy(update={"outages": 1.0, "dead": 1.0}))}
    assert dead < every


def test_a_part_of_the_time_has_the_arrivals_that_start_in_it() -> None:
    fleet = small_fleet()
    seen = sights(fleet)
    part = Span(START + 1800 * NS, START + 4000 * NS)
    expected = {arrival for arrival in arrivals(fleet, seen) if arrival.start_ns in part}
    assert set(arrivals(fleet, seen, span=part)) == expected


def test_a_wrong_clock_is_off_by_its_offset_and_drifts() -> None:
    fleet = small_fleet()
    camera = replace(fleet.cameras[0], offset_ms=-1500, drift_ppm=100)
    assert claimed_ns(fleet, camera, START) == START - 1_500_000_000
    assert claimed_ns(fleet, camera, START + 10_000 * NS) == START + 10_000 * NS - 500_000_000
