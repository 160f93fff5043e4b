"""What becomes of an error at a door: every kind has its exit code, its HTTP status and its words."""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import lamplighter.desk
import pipeline
import simulation
import storage
import workers
from lamplighter.answers import ANSWERS, EXIT_CODES, Answer, answer_to
from lamplighter.cli.app import app
from pipeline.errors import ClipError, Conflict, LamplighterError, NotAllowed, NotFound, RequestRefused, StoreRefused
from storage.contract import MissingBucket


def kinds(above: type[LamplighterError]) -> Iterator[type[LamplighterError]]:
    for kind in above.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_every_kind_of_error_has_an_answer_of_its_own_or_of_the_kind_it_is_of() -> None:
    for package in (pipeline, storage, workers, simulation, lamplighter.desk):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(("__main__", "migrations.env")):  # programs, the second of Alembic's
                importlib.import_module(module.name)
    for kind in kinds(LamplighterError):
        answered = [one for one in kind.__mro__ if one in ANSWERS and one is not LamplighterError]
        assert answered, f"{kind.__name__} needs an entry in lamplighter/answers.py"


def test_the_exit_codes_are_those_that_are_told_and_no_status_is_a_success() -> None:
    assert {answer.exit_code for answer in ANSWERS.values()} | {0} == set(EXIT_CODES)
    assert all(answer.exit_code and 400 <= answer.status < 600 for answer in ANSWERS.values())


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (NotFound("x"), Answer(2, 404)),
        (NotAllowed("x"), Answer(2, 403)),
        (Conflict("x"), Answer(2, 409)),
        (RequestRefused("age", "x"), Answer(2, 422, "refused: ")),
        (ClipError("decode", "x"), Answer(1, 422, "set aside: ")),
        (StoreRefused("x"), Answer(3, 502)),
        (MissingBucket("x"), Answer(3, 502)),
        (LamplighterError("x"), Answer(1, 500)),
    ],
)
def test_an_error_is_answered_by_its_kind(error: LamplighterError, answer: Answer) -> None:
    assert answer_to(error) == answer


def test_the_help_tells_every_exit_code() -> None:
    epilog = str(app.info.epilog)
    assert all(f"{code} {meaning}" in epilog for code, meaning in EXIT_CODES.items())
