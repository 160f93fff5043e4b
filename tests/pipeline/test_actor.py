import pytest

from pipeline.actor import Actor, Role


def test_an_actor_is_told_by_role_and_name() -> None:
    assert str(Actor(Role.OWNER, "olga")) == "owner olga"


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 129])
def test_an_actor_without_a_name_of_one_line_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Actor(Role.OFFICER, name)


def test_a_role_there_is_none_of_is_refused() -> None:
    with pytest.raises(ValueError, match="admin"):
        Actor("admin", "root")  # type: ignore[arg-type]
