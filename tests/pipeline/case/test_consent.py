from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from pipeline.actor import Role
from pipeline.case.consent import Consent, Decision, Share, Standing, Word, disclosed
from pipeline.case.life import Act, Life, Step
from pipeline.case.order import Basis, Order
from pipeline.clip import Camera, Disclosure, Owner, Sharing
from pipeline.span import Span
from samples import DAY, DIGEST, MINUTE, NOON, camera, request, submission

ASK, ALWAYS, NEVER = Sharing.ASK, Sharing.ALWAYS, Sharing.NEVER
SILENT = None
DECLINED: tuple[str, ...] = ()
OTHER = ("clip-2",)
LISTED = ("clip-1", "clip-2")
ASKED = request(nonce="1f" * 16, officer="otto")
SENT, CLOSES = NOON + 2 * DAY, NOON + 16 * DAY
SPAN = Span(NOON, NOON + MINUTE)
EVER = NOON + 1000 * DAY


def decided(clips: tuple[str, ...], owner: str = "owner-1", **fields: Any) -> Decision:
    return Decision(ASKED.id, owner, tuple(map(Share, clips)), NOON, **fields)


def sent(of: Any = ASKED) -> Life:
    sending = Step(of.id, 2, Act.SEND, Role.OPERATOR, "anna", SENT, until_ns=CLOSES)
    return Life(of, (submission(of), sending))


def order(**fields: Any) -> Order:
    named: dict[str, Any] = {"id": "o1", "request": ASKED.id, "basis": Basis.WARRANT, "authority": "Court, 7/26"}
    named |= {"cameras": ("cam-1",), "span": SPAN, "entered_by": "linus", "entered_ns": NOON, "file_sha256": DIGEST}
    named |= {"approved_by": "lena", "approved_ns": NOON}
    return Order(**(named | fields))


def standing(of: Camera, *said: Decision, at: int = SENT + 1, life: Life | None = None, **fields: Any) -> Standing:
    consent = Consent(life or sent(), {one.owner: one for one in said}, **fields)
    return consent.standing(of, "clip-1", SPAN, at)


@pytest.mark.parametrize(
    ("sharing", "shared", "expected"),
    [
        (ASK, SILENT, Standing.WAITING),
        (ASK, DECLINED, Standing.DECLINED),
        (ASK, OTHER, Standing.DECLINED),
        (ASK, LISTED, Standing.SHARED),
        (ALWAYS, SILENT, Standing.ALWAYS),
        (ALWAYS, DECLINED, Standing.DECLINED),
        (ALWAYS, OTHER, Standing.ALWAYS),
        (ALWAYS, LISTED, Standing.SHARED),
        (NEVER, SILENT, Standing.NEVER),
        (NEVER, DECLINED, Standing.NEVER),
        (NEVER, OTHER, Standing.NEVER),
        (NEVER, LISTED, Standing.NEVER),
    ],
)
def test_what_a_camera_allows_and_what_its_owner_said_together_decide(
    sharing: Sharing, shared: tuple[str, ...] | None, expected: Standing
) -> None:
    said = () if shared is None else (decided(shared),)
    until_ns = EVER if sharing is ALWAYS else None
    assert standing(camera(sharing=sharing, always_until_ns=until_ns), *said) is expected


def test_only_the_owners_word_their_own_asking_and_an_order_let_a_clip_out() -> None:
    may = {Standing.ALWAYS, Standing.SHARED, Standing.OWN, Standing.ORDERED}
    assert {one for one in Standing if one.allowed} == may


@pytest.mark.parametrize("sharing", [ASK, NEVER])
@pytest.mark.parametrize("clips", [DECLINED, LISTED])
def test_the_word_of_another_owner_lets_nothing_out(sharing: Sharing, clips: tuple[str, ...]) -> None:
    assert standing(camera(sharing=sharing), decided(clips, "owner-2")) is standing(camera(sharing=sharing))


def test_what_a_former_owner_withheld_stays(  # whatever the camera allows now
) -> None:
    said = decided((), "owner-2", withheld=("clip-1",))
    assert standing(camera(sharing=ALWAYS, always_until_ns=EVER), said) is Standing.DECLINED


def test_an_always_holds_until_its_end_and_one_without_an_end_not_at_all() -> None:
    ending = camera(sharing=ALWAYS, always_until_ns=SENT + 5)
    assert standing(ending, at=SENT + 4) is Standing.ALWAYS
    assert standing(ending, at=SENT + 5) is Standing.WAITING
    assert standing(camera(sharing=ALWAYS)) is Standing.WAITING


def test_nothing_leaves_before_the_request_is_sent_and_silence_is_no_after_it_closed() -> None:
    waits = Life(ASKED, (submission(ASKED),))
    always = camera(sharing=ALWAYS, always_until_ns=EVER)
    for of in (camera(), always):
        assert standing(of, decided(LISTED), life=waits) is Standing.NOT_SENT
    assert standing(camera(), at=CLOSES - 1) is Standing.WAITING
    assert standing(camera(), at=CLOSES) is Standing.CLOSED
    assert standing(camera(), decided(LISTED), at=CLOSES) is Standing.SHARED
    assert standing(always, at=CLOSES) is Standing.ALWAYS


def test_a_request_of_an_earlier_version_counts_as_sent_and_never_closes() -> None:
    earlier = request()
    assert standing(camera(), life=Life(earlier), at=EVER) is Standing.WAITING
    said = replace(decided(LISTED), request=earlier.id)
    assert standing(camera(), said, life=Life(earlier)) is Standing.SHARED


@pytest.mark.parametrize("sharing", [ASK, ALWAYS])
def test_who_withdrew_or_wants_no_requests_lets_nothing_out(sharing: Sharing) -> None:
    of = camera(sharing=sharing, always_until_ns=EVER if sharing is ALWAYS else None)
    assert standing(of, decided((), withdrawn=True)) is Standing.WITHDREW
    assert standing(of, decided((), withheld=("clip-1",), withdrawn=True)) is Standing.WITHDREW
    assert standing(of, decided(LISTED), opted_out=frozenset({"owner-1"})) is Standing.OPTED_OUT


def test_an_order_in_force_outweighs_all_in_the_time_and_cameras_that_it_names() -> None:
    said = decided((), withheld=("clip-1",))
    for of in (camera(), camera(sharing=NEVER)):
        assert standing(of, said, orders=(order(),)) is Standing.ORDERED
        for other in (
            order(approved_by="", approved_ns=None),
            order(withdrawn_by="lena", withdrawn_ns=NOON),
            order(cameras=("cam-2",)),
            order(span=Span(NOON + MINUTE, NOON + 2 * MINUTE)),
        ):
            assert not standing(of, said, orders=(other,)).allowed


def test_an_owners_own_request_lets_out_their_footage_and_nobody_elses() -> None:
    own = request(nonce="1f" * 16, own="owner-1")
    life = Life(own, (replace(submission(own), role=Role.OWNER, by="owner-1"),))
    for sharing in (ASK, NEVER):
        assert standing(camera(sharing=sharing), life=life) is Standing.OWN
    assert standing(camera(owner="owner-2"), life=life) is Standing.NOT_THEIRS


def test_of_a_clip_the_parts_and_the_sound_leave_that_its_owner_chose() -> None:
    parts = (Span(NOON, NOON + 10), Span(NOON + MINUTE - 5, NOON + 2 * MINUTE))
    for sound in (False, True, None):
        said = Decision(ASKED.id, "owner-1", (Share("clip-1", parts, sound=sound),), NOON)
        consent = Consent(sent(), {"owner-1": said})
        let_out = ((parts[0], Span(NOON + MINUTE - 5, NOON + MINUTE)), sound)
        assert consent.let_out(camera(), "clip-1", SPAN, SENT) == let_out
        assert consent.let_out(camera(), "clip-2", SPAN, SENT) == ((), None)
    half = order(span=Span(NOON - 5, NOON + 7))
    assert Consent(sent(), orders=(half,)).let_out(camera(), "clip-1", SPAN, SENT) == ((Span(NOON, NOON + 7),), None)


def test_the_parts_of_a_clip_stand_apart() -> None:
    with pytest.raises(ValueError, match="do not overlap"):
        Share("clip-1", (Span(0, 5), Span(4, 9)))


def test_a_decision_names_each_clip_once_and_in_order() -> None:
    assert decided(("b", "a", "b")).clips == ("a", "b")
    assert decided(("b", "a")) == decided(("a", "b", "a"))
    with pytest.raises(ValueError, match="shared in one way"):
        Decision("r", "o", (Share("a"), Share("a", sound=True)), NOON)
    with pytest.raises(ValueError, match="shared or withheld"):
        decided(("a",), withheld=("a",))


def test_who_withdrew_shares_nothing_and_answers_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="withdrew"):
        decided(LISTED, withdrawn=True)
    with pytest.raises(ValueError, match="counted from 1"):
        decided(LISTED, revision=0)
    words = [decided(LISTED).word, decided(()).word, decided((), withdrawn=True).word]
    assert words == [Word.SHARED, Word.DECLINED, Word.WITHDREW]


@pytest.mark.parametrize("note", ["x" * 1001, "a\x1bb", "\ud800"])
def test_a_note_is_plain_text_of_at_most_1000_characters(note: str) -> None:
    assert decided(LISTED, note="ü\n" * 500).note
    with pytest.raises(ValueError, match="plain text"):
        decided(LISTED, note=note)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (("r/1", "o", ()), "request"),
        (("r", "", ()), "owner"),
        (("r", "../o", ()), "owner"),
        (("r", "o", ("a b",)), "clip"),
    ],
)
def test_a_decision_is_made_of_ids(fields: Any, kind: str) -> None:
    with pytest.raises(ValueError, match=f"a {kind} id is"):
        Decision(fields[0], fields[1], tuple(map(Share, fields[2])), NOON)


def test_a_decision_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        decided(LISTED).shares = ()  # type: ignore[misc]


def test_a_requester_is_told_what_the_owner_lets_them_know_and_what_there_is_to_tell() -> None:
    olga = Owner("owner-1", "Ölga", "olga@example.org")
    assert disclosed(camera(), olga, (), 250) == {}
    assert disclosed(camera(), Owner("owner-1"), Disclosure, 250).keys() == {"block", "place"}
    told = disclosed(camera(), olga, Disclosure, 250)
    assert told | {"block": ""} == {
        "name": "Ölga", "mail": "olga@example.org", "place": "48.100000, 11.500000", "block": ""
    }  # fmt: skip
    near = camera(lon=11.5001)
    assert disclosed(near, olga, (Disclosure.BLOCK,), 250) == {"block": told["block"]}, "it is that of the cell"
