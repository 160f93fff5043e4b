import pytest

from pipeline.actor import Actor, Proof, Role


def test_an_actor_is_told_by_role_and_name() -> None:
    assert str(Actor(Role.OWNER, "olga")) == "owner olga"
    assert str(Actor(Role.OFFICER, "otto", "town")) == "officer otto of town"


def test_a_person_is_who_they_say_unless_somebody_knows_better() -> None:
    assert Actor(Role.REVIEWER, "rita").proof is Proof.SAID


@pytest.mark.parametrize(("role", "agency"), [(Role.OFFICER, ""), (Role.OWNER, "town"), (Role.REVIEWER, "town")])
def test_an_officer_is_of_an_agency_and_nobody_else_is(role: Role, agency: str) -> None:
    with pytest.raises(ValueError, match="an officer is of an agency, and nobody else is"):
        Actor(role, "somebody", agency)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 129])
def test_an_actor_without_a_name_of_one_line_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Actor(Role.OFFICER, name, "town")


def test_a_role_there_is_none_of_is_refused() -> None:
    with pytest.raises(ValueError, match="admin"):
        Actor("admin", "root")  # type: ignore[arg-type]
