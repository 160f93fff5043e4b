"""What is told of owners' answers: nothing from which one owner's can be found, however it is added and subtracted."""

import json
import random
import re
from collections import defaultdict
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from public_worlds import SPRING, answers, asked, dice, head, random_world, world

from pipeline.neighbourhood.figures import document, rules_of, written
from pipeline.neighbourhood.public import (
    DAY_NS,
    Answer,
    CellCount,
    Counted,
    Facts,
    Refusal,
    count,
    due,
    end_of,
    quarter_of,
    told,
)
from pipeline.neighbourhood.publicity import OTHER, TransparencySettings, kind_of
from pipeline.span import parse_iso

RULES = TransparencySettings()
LEAST, STEP = RULES.least_owners, RULES.step


def counted(facts: Facts, before: tuple[Counted, ...] = ()) -> tuple[Counted, ...]:
    """Return the quarters that are told, those of `before` as they were told then."""
    by = {"cell_m": RULES.cell_m, "least": LEAST, "step": STEP}
    new = due(facts, RULES, (one.quarter for one in before))
    return (*before, *(Counted(one, **by, cells=count(one, facts, **by), open_size=1, kept_size=1) for one in new))


def published(facts: Facts, before: tuple[Counted, ...] = ()) -> dict[str, Any]:
    """Return what everybody reads, after it went through its bytes."""
    found: dict[str, Any] = json.loads(written(document(facts, counted(facts, before), RULES)))
    return found


def answered(found: dict[str, Any]) -> dict[tuple[str, float, float], dict[str, int | None]]:
    rows = found["tables"]["answers"]["rows"]
    return {(row["quarter"], row["lat"], row["lon"]): row for row in rows}


def without_answers(found: dict[str, Any]) -> str:
    """Return all that is told but the answers, and the sum of them that stands among the releases."""
    tables = dict(found["tables"])
    sums = [row["clips"] or 0 for row in tables.pop("answers")["rows"]]
    releases = tables.pop("releases")
    own = [row for row in releases["rows"] if row["basis"] == "consent"]
    assert [row["clips"] for row in own] == [sum(sums)], "what owners shared is the sum of what is told of them"
    rest = [row for row in releases["rows"] if row["basis"] != "consent"]
    return json.dumps([found["log"], found["rules"], found["areas"], tables, rest], sort_keys=True)


def with_one_other(facts: Facts, chance: random.Random) -> Facts:
    """Return a world in which one owner answered in addition, not at all, or otherwise."""
    said, at = list(facts.answers), chance.randrange(len(facts.answers))
    match chance.randrange(3):
        case 0:
            said.append(Answer(chance.choice(facts.requests).request, "nobody-else", chance.random() < 0.5))
        case 1:
            said.pop(at)
        case 2:
            said[at] = replace(said[at], shared=not said[at].shared)
    return replace(facts, answers=tuple(said))


@pytest.mark.parametrize("seed", range(40))
def test_of_two_worlds_that_differ_in_one_owner_everything_but_one_cells_row_is_the_same(seed: int) -> None:
    facts = random_world(seed)
    other = with_one_other(facts, dice(seed))
    one, two = published(facts), published(other)
    assert without_answers(one) == without_answers(two)
    rows, others = answered(one), answered(two)
    assert rows.keys() == others.keys(), "which cells are named follows from agencies' acts alone"
    changed = [key for key in rows if rows[key] != others[key]]
    assert len(changed) <= 1
    for key in changed:
        for name in ("owners", "shared", "kept"):
            before, after = rows[key][name], others[key][name]
            if before is not None and after is not None:
                assert abs(before - after) in {0, STEP}


@pytest.mark.parametrize("seed", range(20))
def test_a_quarter_that_was_told_never_changes_whatever_one_owner_says_after(seed: int) -> None:
    chance, facts = dice(seed), random_world(seed)
    editions: list[dict[str, Any]] = []
    before: tuple[Counted, ...] = ()
    for day in range(0, 900, 60):
        now = replace(facts, head=head(SPRING + day * DAY_NS))
        editions.append(published(now, before))
        before = counted(now, before)
        facts = with_one_other(facts, chance)
    seen: dict[tuple[str, float, float], dict[str, int | None]] = {}
    for edition in editions:
        for key, row in answered(edition).items():
            assert seen.setdefault(key, row) == row
    assert len({key[0] for key in seen}) > 4, "the attack had quarters to subtract from each other"


Atom = tuple[str, int, bool]
"""A quarter, a place, and whether its owners shared: what every number about owners is a sum of."""


def at_stake(facts: Facts) -> dict[Atom, int]:
    """Return how many owners there are in each quarter and place, by their word: all that is to be hidden."""
    at = {one.request: (quarter_of(one.closes_ns or 0), int(one.agency[-1])) for one in facts.requests}
    words: dict[tuple[str, int, str], bool] = {}
    for one in facts.answers:
        key = (*at[one.request], one.owner)
        words[key] = words.get(key, False) or one.shared
    found = {(*where, word): 0 for where in at.values() for word in (True, False)}
    for (quarter, place, _), word in words.items():
        found[quarter, place, word] += 1
    return found


def told_of(facts: Facts) -> list[set[Atom]]:
    """Return what each number that is told is the sum of."""
    of = {"owners": {True, False}, "shared": {True}, "kept": {False}}
    return [
        {(quarter, min(range(3), key=lambda one: abs((37.77, 34.05, 40.71)[one] - lat)), word) for word in of[name]}
        for (quarter, lat, _), row in answered(published(facts)).items()
        for name in of
        if row[name] is not None
    ]


def computable(told: list[set[Atom]], there: dict[Atom, int]) -> list[set[Atom]]:
    """Return what of one or two atoms with few owners, or none, any sum and difference of told numbers gives."""
    atoms = sorted(there)
    matrix = np.array([[atom in one for atom in atoms] for one in told], float).reshape(-1, len(atoms))
    rank = np.linalg.matrix_rank(matrix)
    targets = [{one} for one in atoms] + [set(two) for two in combinations(atoms, 2)]
    few = [one for one in targets if sum(there[atom] for atom in one) < LEAST]
    assert len(few) > 3, "there was something to find"
    rows = [np.array([[atom in one for atom in atoms]], float) for one in few]
    return [one for one, row in zip(few, rows, strict=True) if np.linalg.matrix_rank(np.vstack([matrix, row])) == rank]


@pytest.mark.parametrize("seed", range(20))
def test_no_sum_or_difference_of_told_numbers_is_about_fewer_than_ten_owners(seed: int) -> None:
    facts = random_world(seed)
    there, told = at_stake(facts), told_of(facts)
    assert all(sum(there[atom] for atom in one) >= LEAST for one in told)
    assert computable(told, there) == []


def test_that_attack_finds_what_a_total_or_one_word_more_would_give_away() -> None:
    facts = random_world(3)
    there, told = at_stake(facts), told_of(facts)
    totals = [{atom for atom in there if atom[0] == quarter} for quarter in {quarter for quarter, *_ in there}]
    shares = [{atom} for one in told for atom in one if atom[2]]
    assert computable([*told, *totals], there), "a total over the cells of a quarter, beside the cells"
    assert computable([*told, *shares], there), "how many shared, where the others are few"


def test_from_what_is_told_of_a_cell_no_count_is_known_by_one() -> None:
    """Every world of up to 60 owners: whatever is told, each number it was made of has several that fit as well."""
    worlds: dict[CellCount, list[tuple[int, int]]] = defaultdict(list)
    for owners in range(61):
        for shared in range(owners + 1):
            worlds[told((0, 0), owners=owners, shared=shared, clips=0, least=LEAST, step=STEP)].append((owners, shared))
    for said, fit in worlds.items():
        if max(owners for owners, _ in fit) == 60:
            continue  # cut off by the end of the table
        for numbers in ({owners for owners, _ in fit}, {shared for _, shared in fit}, {a - b for a, b in fit}):
            assert len(numbers) >= STEP - 1, said


def test_too_few_are_not_told_nor_those_who_would_follow_from_all() -> None:
    def of(owners: int, shared: int) -> tuple[int | None, ...]:
        said = told((0, 0), owners=owners, shared=shared, clips=33, least=10, step=5)
        return said.owners, said.shared, said.kept, said.clips

    assert of(9, 9) == (None, None, None, None)
    assert of(14, 7) == (10, None, None, None)
    assert of(30, 30) == (30, None, None, None), "where all shared, everybody would know what each one said"
    assert of(30, 21) == (30, None, None, None), "nine did not: their number would follow from the other two"
    assert of(31, 20) == (30, 20, 10, 30)


def test_an_owner_with_several_cameras_and_requests_counts_once() -> None:
    requests = [asked(1), asked(2)]
    twice = [Answer(one.request, f"owner-{at}", shared=False) for one in requests for at in range(9)]
    ((found,),) = [one.cells for one in counted(world(requests, twice))]
    assert found.owners is None, "nine owners gave eighteen answers"


def test_a_quarter_is_told_after_it_ended_and_the_delay() -> None:
    requests, said = [asked(1)], answers(asked(1).request, 40, 20)
    end_ns = end_of("2026-Q1")
    early = replace(world(requests, said), head=head(end_ns + 30 * DAY_NS - 1))
    assert counted(early) == ()
    assert [one.quarter for one in counted(replace(early, head=head(end_ns + 30 * DAY_NS)))] == ["2026-Q1"]
    assert (quarter_of(end_ns - 1), quarter_of(end_ns), end_of("2026-Q4")) == (
        *("2026-Q1", "2026-Q2"),
        parse_iso("2027-01-01T00:00:00Z"),
    )


@pytest.mark.parametrize(
    ("fields", "days"),
    [
        ({}, 45),
        ({"closes_ns": None, "sent_ns": None, "sent_back_ns": SPRING + DAY_NS}, 31),
        ({"closes_ns": None, "sent_ns": None}, 365),
        ({"untold_ns": SPRING + 400 * DAY_NS}, 430),
        ({"untold_ns": SPRING + 2 * DAY_NS}, 45),
    ],
)
def test_a_request_is_told_of_long_after_it_is_over_and_never_while_an_order_forbids_it(
    fields: dict[str, Any], days: int
) -> None:
    one = asked(1, **fields)
    for at_ns, there in ((SPRING + days * DAY_NS - 1, 0), (SPRING + days * DAY_NS, 1)):
        found = published(world([one], (), head=head(at_ns)))
        assert len(found["tables"]["requests"]["rows"]) == there
        assert sum(row["requests"] for row in found["tables"]["kinds"]["rows"]) == there
        assert sum(row["requests"] for row in found["tables"]["agencies"]["rows"]) == there


def numbers(found: Any) -> set[str]:
    return set(re.findall(r"\d+\.\d{4,}", json.dumps(found)))


def test_no_number_has_more_than_three_decimals_and_each_stands_under_its_definition() -> None:
    found = published(random_world(1))
    assert numbers(found) == set()
    for table in found["tables"].values():
        assert table["rows"]
        assert table["definition"]
        assert all(row.keys() == table["columns"].keys() for row in table["rows"])
        assert all(table["columns"].values())
    assert found["log"].keys() - {"definitions"} == found["log"]["definitions"].keys()
    assert found["rules"].keys() - {"definitions"} == found["rules"]["definitions"].keys()


def test_the_same_facts_in_another_order_are_the_same_bytes_and_bring_back_their_rules() -> None:
    facts = random_world(2)
    mixed = replace(facts, requests=facts.requests[::-1], answers=facts.answers[::-1], agencies=facts.agencies[::-1])
    assert written(published(facts)) == written(published(mixed))
    assert rules_of(published(facts)) == RULES
    assert list(rules_of(published(facts)).kinds) == list(RULES.kinds), "the first that fits counts"


def test_what_an_officer_wrote_never_stands_there_a_kind_from_the_list_does() -> None:
    for text, kind in (
        ("Burglary at 12 Elm St, victim Jane Roe", "burglary"),
        ("bürglary", "burglary"),
        ("stolen package, porch", "package theft"),
        ("something about Jane Roe", OTHER),
        ("shotgun wedding", OTHER),
    ):
        assert kind_of(text, RULES.kinds) == kind


def test_a_refusal_is_counted_by_its_rule_once_its_quarter_is_over() -> None:
    found = published(world([], ()))["tables"]["refusals"]["rows"]
    assert [(row["quarter"], row["rule"], row["refused"]) for row in found] == [
        ("2026-Q1", "area", 2),
        ("2026-Q1", "bulk", 1),
    ]
    early = world([], (), head=head(end_of("2026-Q1")))
    assert published(early)["tables"]["refusals"]["rows"] == []


@pytest.mark.parametrize("wrong", [{"id": "1"}, {"agency": "a b"}, {"officer": ""}, {"rule": "Jane Roe, 12 Elm St"}])
def test_a_refusal_holds_a_rule_and_no_words(wrong: dict[str, str]) -> None:
    known: dict[str, Any] = {"id": "ab" * 16, "agency": "town", "officer": "otto", "rule": "area", "at_ns": SPRING}
    with pytest.raises(ValueError, match=r"\w"):
        Refusal(**(known | wrong))


def test_a_quarter_that_is_none_is_refused() -> None:
    for wrong in ("2026-Q5", "2026", ""):
        with pytest.raises(ValueError, match="2026-Q3"):
            end_of(wrong)
        with pytest.raises(ValueError, match="2026-Q3"):
            Counted(wrong, 2000, 10, 5, (), 1, 1)
