import contextlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pipeline.case.area import Area
from pipeline.case.match import Match, Verdict, match
from pipeline.case.request import Request
from pipeline.case.rules import Limits, check
from pipeline.clip import Camera, Clip
from pipeline.errors import RequestRefused
from pipeline.span import NS, Span
from samples import DAY, MINUTE, NOON, camera, clip, request, square

LIMITS = Limits()
POLYGON = {"type": "Polygon", "coordinates": [[list(point) for point in square()]]}
FEATURE = {"type": "Feature", "properties": None, "geometry": POLYGON}


def refused(rule: str, made: Any, *, saying: str = "") -> str:
    with pytest.raises(RequestRefused) as error:
        made()
    assert error.value.rule == rule
    assert saying in error.value.reason
    return error.value.reason


def checked(*limits: Limits, **fields: Any) -> None:
    check(request(**fields), *(limits or (LIMITS,)))


# Areas ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rings", "saying"),
    [
        ((), "without any ring"),
        (((),), "at least 4 points"),
        ((((0, 0), (0, 1), (0, 0)),), "at least 4 points"),
        ((square()[:-1],), "ends where it starts"),
        ((((0, 0), (181, 0), (181, 1), (0, 0)),), "got lon 181.0, lat 0.0"),
        ((((0, 0), (1, 0), (1, -91), (0, 0)),), "lat -91.0"),
        ((((0, 0), (math.nan, 0), (1, 1), (0, 0)),), "lon nan"),
        ((((0, 0), (math.inf, 0), (1, 1), (0, 0)),), "lon inf"),
        ((((0, 0), (1, 1), (1, 0), (0, 1), (0, 0)),), "not simple (Self-intersection"),
        ((((0, 0), (1, 1), (2, 2), (0, 0)),), "not simple"),
        ((square(), square(12.5)), "not simple (Hole lies outside shell"),
        ((((170, 0), (-170, 0), (-170, 1), (170, 1), (170, 0)),), "crosses the antimeridian"),
        ((((0, 0), (1, 0, 5), (1, 1), (0, 0)),), "not rings of [lon, lat]"),
        ((((0, 0), (10**400, 0), (1, 1), (0, 0)),), "not rings of [lon, lat]"),
        (5, "not rings of [lon, lat]"),
    ],
)
def test_an_area_is_one_simple_polygon_on_one_side_of_the_antimeridian(rings: Any, saying: str) -> None:
    refused("area", lambda: Area(rings), saying=saying)


def test_a_polygon_across_the_antimeridian_is_told_to_ask_for_one_side() -> None:
    ring = ((179.998, 0), (-179.998, 0), (-179.998, 0.004), (179.998, 0.004), (179.998, 0))
    assert "on one side" in refused("area", lambda: Area((ring,)))


@pytest.mark.parametrize("lon", [179.9975, -179.9975])
def test_a_polygon_beside_the_antimeridian_is_as_large_as_elsewhere(lon: float) -> None:
    here, there = Area((square(lon, 48.1),)), Area((square(11.5, 48.1),))
    assert here.size_m2 == pytest.approx(there.size_m2, rel=1e-9)
    check(request(area=here), LIMITS)
    assert here.covers(camera(lon=lon))
    assert not here.covers(camera(lon=-lon))


@pytest.mark.parametrize("side", [1, -1])
def test_a_camera_on_the_antimeridian_is_covered_from_either_side(side: int) -> None:
    area = Area((square(179.9975 * side, 48.1),))
    assert area.covers(camera(lon=180))
    assert area.covers(camera(lon=-180))
    assert not area.covers(camera(lon=180, lat=49))


def test_an_area_covers_its_edge_and_not_its_holes() -> None:
    area = Area((square(), square(size=0.001)))
    assert area.covers(camera(lon=11.5 + 0.0025))
    assert area.covers(camera(lon=11.5 + 0.0005))
    assert area.covers(camera(lon=11.502))
    assert not area.covers(camera(lon=11.5))
    assert not area.covers(camera(lon=11.5026))
    assert area.bounds == pytest.approx((11.4975, 48.0975, 11.5025, 48.1025))


def along(a: tuple[float, float], b: tuple[float, float], *, halvings: int = 4) -> list[tuple[float, float]]:
    """Return points on the great circle from a to b (lon, lat in degrees), a included and b not."""
    if not halvings:
        return [a]
    vectors = []
    for lon, lat in (a, b):
        east, north = math.radians(lon), math.radians(lat)
        vectors.append(np.array([math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)]))
    x, y, z = vectors[0] + vectors[1]
    middle = (math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y))))
    return along(a, middle, halvings=halvings - 1) + along(middle, b, halvings=halvings - 1)


def ellipsoid_m2(rings: Iterable[Any]) -> float:
    """Area from its definition: the integral of the ellipsoid's M * N * cos(lat), by Gauss-Legendre along the edges.

    WGS84: a = 6378137 m, f = 1 / 298.257223563. The edges bend as on a sphere, which is near enough for kilometres.
    """
    f = 1 / 298.257223563
    b, e2 = 6378137 * (1 - f), f * (2 - f)
    e = math.sqrt(e2)
    nodes, weights = np.polynomial.legendre.leggauss(6)
    total = 0.0
    for index, ring in enumerate(rings):
        bent = [point for start, end in pairwise(ring) for point in along(start, end)]
        part = 0.0
        for (lon0, lat0), (lon1, lat1) in pairwise([*bent, bent[0]]):
            sine = np.sin(np.radians(lat0 + (lat1 - lat0) * (nodes + 1) / 2))
            # From the first corner's parallel, not from the equator: so near numbers are not subtracted.
            base = math.sin(math.radians(bent[0][1]))
            strip = [b**2 / 2 * (s / (1 - e2 * s**2) + math.atanh(e * s) / e) for s in (*sine, base)]
            heights = np.array(strip[:-1]) - strip[-1]
            part += math.radians(lon1 - lon0) / 2 * float(weights @ heights)
        total += abs(part) * (1 if index == 0 else -1)
    return total


@given(
    st.floats(-179, 179),
    st.floats(-80, 80),
    st.lists(st.tuples(st.floats(0.2, 1), st.floats(-0.4, 0.4)), min_size=3, max_size=9),
    st.booleans(),
)
def test_the_area_agrees_with_an_independent_computation(
    lon: float, lat: float, corners: list[tuple[float, float]], backwards: bool
) -> None:
    ring = []
    for index, (radius, shift) in enumerate(corners):
        angle = 2 * math.pi * (index + shift) / len(corners)
        east = 0.006 * radius * math.cos(angle) / math.cos(math.radians(lat))
        ring.append((lon + east, lat + 0.006 * radius * math.sin(angle)))
    ring = [*ring, ring[0]]
    try:
        area = Area((tuple(ring[::-1] if backwards else ring),))
    except RequestRefused:
        return
    if area.size_m2 > 10_000:
        assert area.size_m2 == pytest.approx(ellipsoid_m2([ring]), rel=1e-4)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("turn", [False, True])
def test_holes_are_taken_off_whichever_way_the_rings_are_drawn(reverse: bool, turn: bool) -> None:
    outer, hole = square(size=0.009), square(size=0.003)
    rings = (outer[::-1] if turn else outer, hole[::-1] if reverse else hole)
    area = Area(rings)
    assert area.size_m2 == pytest.approx(ellipsoid_m2([outer, hole]), rel=1e-4)
    assert area.size_m2 == pytest.approx(Area((outer,)).size_m2 - Area((hole,)).size_m2, rel=1e-9)


@pytest.mark.parametrize(
    "document",
    [POLYGON, FEATURE, {"type": "FeatureCollection", "features": [FEATURE]}],
    ids=["Polygon", "Feature", "FeatureCollection"],
)
def test_the_three_geojson_forms_of_one_polygon_are_one_area(document: Any) -> None:
    area = Area.from_geojson(document)
    assert area == Area((square(),))
    assert Area.from_geojson(area.to_geojson()) == area
    assert Area.from_geojson(json.loads(json.dumps(document))) == area


def test_geojson_altitudes_are_passed_over() -> None:
    ring = [[*point, 520.0] for point in square()]
    assert Area.from_geojson({"type": "Polygon", "coordinates": [ring]}) == Area((square(),))


@pytest.mark.parametrize(
    ("document", "saying"),
    [
        (None, "got NoneType"),
        ([POLYGON], "got list"),
        ("Polygon", "got str"),
        ({}, "got None"),
        ({"type": ["Polygon"]}, "wanted a GeoJSON Polygon"),
        ({"type": "Point", "coordinates": [0, 0]}, "got Point"),
        ({"type": "MultiPolygon", "coordinates": [POLYGON["coordinates"]]}, "got MultiPolygon"),
        ({"type": "GeometryCollection", "geometries": [POLYGON]}, "got GeometryCollection"),
        ({"type": "Feature", "geometry": None}, "got NoneType"),
        ({"type": "Feature"}, "got NoneType"),
        ({"type": "Feature", "geometry": FEATURE}, "got Feature"),
        ({"type": "FeatureCollection", "features": []}, "got 0"),
        ({"type": "FeatureCollection", "features": [FEATURE, FEATURE]}, "got 2"),
        ({"type": "FeatureCollection", "features": {"a": FEATURE}}, "got none"),
        ({"type": "FeatureCollection", "features": 7}, "got none"),
        ({"type": "FeatureCollection"}, "got none"),
        ({"type": "FeatureCollection", "features": [7]}, "got int"),
        ({"type": "Polygon"}, "not rings"),
        ({"type": "Polygon", "coordinates": None}, "not rings"),
        ({"type": "Polygon", "coordinates": [0, 0]}, "not rings"),
        ({"type": "Polygon", "coordinates": [[[0], [1], [2], [0]]]}, "not rings"),
        ({"type": "Polygon", "coordinates": [[["a", "b"]] * 4]}, "not rings"),
        ({"type": "Polygon", "coordinates": [[[10**400, 0]] * 4]}, "not rings"),
        ({"type": "Polygon", "coordinates": [[{"lon": 0}] * 4]}, "not rings"),
        ({"type": "Polygon", "coordinates": []}, "without any ring"),
    ],
)
def test_other_geojson_is_refused_with_what_was_got(document: Any, saying: str) -> None:
    refused("area", lambda: Area.from_geojson(document), saying=saying)


# Requests -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["case_number", "agency", "contact", "incident"])
@pytest.mark.parametrize("text", ["", "   ", "\t"])
def test_case_number_agency_contact_and_incident_are_required(field: str, text: str) -> None:
    refused(field.replace("_", " "), lambda: request(**{field: text}), saying="is required")


@pytest.mark.parametrize(
    ("field", "most"), [("case_number", 64), ("agency", 128), ("contact", 256), ("incident", 128), ("note", 1000)]
)
def test_texts_have_a_greatest_length(field: str, most: int) -> None:
    assert getattr(request(**{field: "x" * most}), field) == "x" * most
    refused(field.replace("_", " "), lambda: request(**{field: "x" * (most + 1)}), saying=f"at most {most} characters")


@pytest.mark.parametrize("field", ["case_number", "agency", "contact", "incident", "note"])
@pytest.mark.parametrize("char", ["\0", "\x1b", "\ud800"])
def test_control_characters_and_broken_text_are_refused(field: str, char: str) -> None:
    refused(field.replace("_", " "), lambda: request(**{field: f"a{char}b"}), saying="plain text")


def test_a_note_may_have_lines_and_any_alphabet() -> None:
    assert request(note="Zeugen gesucht:\n\tEinbruch, Straße 日本", agency="Polizei\u00a0Nord").note.startswith(
        "Zeugen"
    )
    refused("agency", lambda: request(agency="A\nB"), saying="one line")


@pytest.mark.parametrize("made", [-1, 1.5, None, True])
def test_a_request_is_made_at_an_exact_instant(made: Any) -> None:
    refused("made", lambda: request(made_ns=made))


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        request().case_number = "other"  # type: ignore[misc]


def test_a_requests_id_follows_everything_it_says() -> None:
    one = request()
    changes: list[dict[str, Any]] = [
        {"area": Area((square(11.6),))},
        {"span": Span(NOON, NOON + 31 * MINUTE)},
        {"case_number": "24-0018"},
        {"agency": "Southside Police"},
        {"contact": "other"},
        {"incident": "theft"},
        {"made_ns": NOON + DAY + 1},
        {"note": "thank you"},
    ]
    assert len({one.id, *(replace(one, **change).id for change in changes)}) == len(changes) + 1
    assert request().id == one.id
    now = replace(one, nonce="1f" * 16)
    changes += [{"nonce": "2f" * 16}, {"officer": "otto"}, {"own": "olga"}, {"area": replace(one.area, cell_m=250)}]
    assert len({now.id, *(replace(now, **change).id for change in changes)}) == len(changes) + 1


def test_a_request_of_today_has_128_bits_that_nobody_guesses_and_one_of_an_earlier_version_48() -> None:
    assert re.fullmatch("r[0-9a-f]{32}", request(nonce="1f" * 16).id)
    assert re.fullmatch("r[0-9a-f]{12}", request().id)
    assert request().of_earlier_version
    assert not request(nonce="1f" * 16).of_earlier_version


@pytest.mark.parametrize(
    ("field", "value"), [("nonce", "1f"), ("nonce", "1F" * 16), ("officer", "a/b"), ("own", "../x"), ("own", "a b")]
)
def test_who_asks_is_an_id_and_a_nonce_is_128_bits(field: str, value: str) -> None:
    refused(field, lambda: request(**{field: value}))


def test_a_request_keeps_its_id_when_it_is_read_back() -> None:
    adapter = TypeAdapter(Request)
    ring: Any = [[0, 0], [1, 0], [1, 1], [0, 0]]
    cells = request(area=Area((ring,), 250), nonce="1f" * 16)
    for one in (
        request(),
        cells,
        request(area=Area((ring,)), note="ü\n"),
        request(area=Area((square(0.1 + 0.2, 1 / 3),))),
    ):
        assert one.area.size_m2 > 0
        again = adapter.validate_json(json.dumps(adapter.dump_python(one, mode="json")))
        assert again == one
        assert again.id == one.id


# Rules ----------------------------------------------------------------------------------------------------------------


def test_a_request_within_the_published_limits_passes() -> None:
    checked()


def test_the_published_limits_are_the_default() -> None:
    square_mile = 1609.344**2
    assert pytest.approx(0.025 * square_mile, abs=1) == LIMITS.min_area_m2
    assert pytest.approx(0.5 * square_mile, abs=1) == LIMITS.max_area_m2
    assert (LIMITS.min_span_s, LIMITS.max_span_s) == (15 * 60, 12 * 3600)
    assert (LIMITS.max_age_days, LIMITS.max_per_incident) == (45, 2)


@pytest.mark.parametrize(("size", "got"), [(0.0025, "square metres, got 5"), (0.02, "got 3,")])
def test_an_area_too_small_or_too_large_is_refused_with_both_limits(size: float, got: str) -> None:
    reason = refused("area", lambda: checked(area=Area((square(size=size),))), saying="wanted 64,750 to 1,294,994")
    assert got in reason


def test_the_limits_of_the_area_belong_to_what_is_allowed() -> None:
    area = Area((square(),))
    checked(Limits(min_area_m2=area.size_m2, max_area_m2=area.size_m2))
    refused("area", lambda: checked(Limits(min_area_m2=math.nextafter(area.size_m2, math.inf))))
    refused("area", lambda: checked(Limits(max_area_m2=math.nextafter(area.size_m2, 0))))


@pytest.mark.parametrize(
    ("length_ns", "allowed"),
    [(900 * NS, True), (900 * NS - 1, False), (12 * 3600 * NS, True), (12 * 3600 * NS + 1, False)],
)
def test_a_span_is_15_minutes_to_12_hours_to_the_nanosecond(length_ns: int, allowed: bool) -> None:
    span = Span(NOON, NOON + length_ns)
    if allowed:
        checked(span=span)
    else:
        refused("span", lambda: checked(span=span), saying="wanted 15 minutes to 12 hours")


def test_a_span_ends_before_the_request_is_made() -> None:
    span = Span(NOON, NOON + 30 * MINUTE)
    checked(span=span, made_ns=span.end_ns)
    refused("span", lambda: checked(span=span, made_ns=span.end_ns - 1), saying="ends in the future")


def test_footage_is_at_most_45_days_old_to_the_nanosecond() -> None:
    checked(made_ns=NOON + 45 * DAY)
    refused("age", lambda: checked(made_ns=NOON + 45 * DAY + 1), saying="at most 45 days old, got 45.0 days")


EXCLUDED = [(purpose, word) for purpose, words in LIMITS.excluded.items() for word in words]


@pytest.mark.parametrize(("purpose", "word"), EXCLUDED, ids=[word for _, word in EXCLUDED])
@pytest.mark.parametrize("field", ["incident", "note"])
def test_every_excluded_purpose_is_refused_by_name(field: str, purpose: str, word: str) -> None:
    for text in (word, f"About a {word.upper()}.", f"({word.title()}), downtown"):
        reason = refused("purpose", lambda text=text: checked(**{field: text}), saying=purpose)
        assert repr(word) in reason


@pytest.mark.parametrize(
    "text",
    [
        "the Protestant church",
        "disassembly of a bicycle",
        "picketing",
        "orally reported",
        "rallye car",
        "reassembly line",
    ],
)
def test_excluded_words_are_whole_words(text: str) -> None:
    checked(incident=text)


def test_an_excluded_phrase_is_found_across_line_ends() -> None:
    refused("purpose", lambda: checked(note="you must\n  share this"), saying="pressure on the owner")


def test_excluded_words_may_begin_and_end_with_any_character() -> None:
    limits = Limits(excluded={"form": ("I-9 (b)", "§ 5")})
    refused("purpose", lambda: checked(limits, note="see I-9 (B), please"), saying="form")
    refused("purpose", lambda: checked(limits, note="under § 5 of"), saying="form")
    checked(limits, note="§ 55, protest")


@pytest.mark.parametrize("field", ["incident", "note"])
@pytest.mark.parametrize(
    "text",
    [
        "write to jane.doe+x@mail.example.org",
        "j@x.de",
        "call 555-123-4567",
        "call (555) 123-4567",
        "call 555.123.4567",
        "call 555-1234",
        "call +49 89 1234567",
        "call +1 (555) 123 4567",
        "call 0171/1234567 now",
        "02079460958",
        "on 2026-01-31 call 020 7946 0958",
        "0152-2026-01-31-7",
    ],
)
def test_mail_addresses_and_telephone_numbers_are_refused(field: str, text: str) -> None:
    refused("personal data", lambda: checked(**{field: text}), saying="e-mail address or telephone number")


@pytest.mark.parametrize(
    "text",
    [
        "on 2026-01-31 at 18:00",
        "2026-01-31 18:00 to 2026-02-01 06:30",
        "on 31.01.2026, 01/31/2026 or 2026/01/31",
        "between 0900-1700 and 1830 - 2030 hrs",
        "2400-2599 Main Street, 10 to 12 persons",
        "a car with the plate M-AB 1234",
        "parcel worth 1,200 @ the door",
        "house numbers 12-14, 16, 18, 20, 22",
        "on the 1 3 5 bus",
    ],
)
def test_dates_times_and_small_numbers_are_no_telephone_numbers(text: str) -> None:
    checked(note=text)


def test_the_contact_may_hold_what_the_text_may_not() -> None:
    checked(contact="desk@police.example, +1 555 123 4567")


@given(st.text(max_size=60))
def test_any_text_is_checked_without_a_crash(text: str) -> None:
    with contextlib.suppress(RequestRefused):
        checked(note=text, incident=f"theft {text}")


@pytest.mark.parametrize(
    "knobs",
    [
        {"min_area_m2": 0},
        {"min_area_m2": math.nan},
        {"max_span_s": 0},
        {"max_age_days": 0},
        {"max_per_incident": 0},
        {"min_area_m2": 10, "max_area_m2": 9},
        {"min_span_s": 10, "max_span_s": 9},
        {"excluded": {"a": ("",)}},
        {"excluded": {"a": (" ",)}},
        {"radius_m": 5},
    ],
)
def test_limits_no_request_could_meet_are_refused(knobs: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Limits(**knobs)


# Matching -------------------------------------------------------------------------------------------------------------


def matched(cameras: list[Camera], clips: list[Clip], events: dict[str, list[Span]]) -> list[Match]:
    found = match(
        request(),
        cameras,
        clips=lambda of: [one for one in clips if one.camera == of.id],
        events=lambda of: events.get(of.id, []),
    )
    return list(found)


def test_a_camera_outside_the_area_is_not_looked_into() -> None:
    far, asked = camera("far", lon=12.0), []
    found = match(request(), [far], clips=lambda of: asked.append(of) or [], events=lambda _: [])  # type: ignore[func-returns-value]
    assert [(one.camera, one.verdict, one.clip) for one in found] == [(far, Verdict.OUTSIDE_AREA, None)]
    assert not asked


def test_a_camera_without_clips_says_so() -> None:
    assert [one.verdict for one in matched([camera()], [], {})] == [Verdict.NO_CLIP]


def test_a_clip_that_only_touches_the_span_is_outside() -> None:
    before, after = clip(start_ns=NOON - MINUTE), clip(start_ns=NOON + 30 * MINUTE)
    found = matched([camera()], [before, after], {})
    assert [one.verdict for one in found] == [Verdict.OUTSIDE_SPAN] * 2
    assert [one.span for one in found] == [None, None]


def test_a_clip_without_motion_in_the_asked_time_does_not_match() -> None:
    early = clip(start_ns=NOON - MINUTE // 2)
    events = {early.id: [Span(NOON - MINUTE // 2, NOON)]}
    (found,) = matched([camera()], [early], events)
    assert found.verdict is Verdict.NO_MOTION
    assert found.span == Span(NOON, NOON + MINUTE // 2)
    assert found.events == ()


def test_a_match_asks_for_the_whole_shared_time_and_names_the_events_in_it() -> None:
    one = clip(start_ns=NOON - MINUTE // 2)
    inside = Span(NOON + NS, NOON + 2 * NS)
    across = Span(NOON - NS, NOON + 1)
    (found,) = matched([camera()], [one], {one.id: [Span(NOON - 2 * NS, NOON - NS), across, inside]})
    assert (found.verdict, found.clip) == (Verdict.MATCH, one)
    assert found.span == Span(NOON, NOON + MINUTE // 2)
    assert found.events == (across, inside)


def test_every_camera_and_every_clip_inside_the_area_gets_one_verdict_in_order() -> None:
    cameras = [camera("a"), camera("b", lat=48.2), camera("c")]
    clips = [clip("a"), clip("a", NOON + MINUTE), clip("b"), clip("c", NOON + DAY)]
    found = matched(cameras, clips, {clips[1].id: [Span(NOON + MINUTE, NOON + 2 * MINUTE)]})
    assert [(one.camera.id, one.verdict) for one in found] == [
        ("a", Verdict.NO_MOTION),
        ("a", Verdict.MATCH),
        ("b", Verdict.OUTSIDE_AREA),
        ("c", Verdict.OUTSIDE_SPAN),
    ]
