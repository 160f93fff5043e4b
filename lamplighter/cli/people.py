"""`lamplighter people`: who acts, and in which role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import ActingIfGiven, Json, desk_as, desk_of
from pipeline.actor import Role
from pipeline.errors import ConfigError, Conflict

if TYPE_CHECKING:
    from pipeline.people import Person

people_app = typer.Typer(no_args_is_help=True, help="The people who act, each in one role.")


@people_app.command("add")
def add_person(
    context: typer.Context,
    person: Annotated[str, typer.Argument(help="Their id, given with --as.")],
    *,
    role: Annotated[Role, typer.Option(help="What they are here.")],
    agency: Annotated[str, typer.Option(help="Of an officer: the id of their agency.")] = "",
    name: Annotated[str, typer.Option(help="What they are called.")] = "",
    mail: Annotated[str, typer.Option(help="Where they are written to.")] = "",
    as_json: Json = False,
) -> None:
    """Add a person in one role: who asks, reviews, approves orders, audits, operates; an owner decides.

    An id is never given twice. An officer's mail address is of their agency's domain, if that has one. The public reads
    a pseudonym of 16 digits in place of the id, always the same.
    """
    from lamplighter.cli import tables

    if role is Role.OWNER:
        if agency:
            raise ConfigError("--agency: an officer is of an agency, and an owner is not")
        _add_owner(context, person, name, mail=mail, as_json=as_json)
        return
    if bool(agency) != (role is Role.OFFICER):
        raise ConfigError(f"--agency: an officer is of an agency, and nobody else is, got {agency!r} for {role}")
    with desk_of(context) as desk:
        try:
            added = desk.add_person(person, role, full_name=name, mail=mail, agency=agency)
        except ValueError as error:
            raise ConfigError(str(error)) from error
    if as_json:
        tables.write_json(_document(added))
    else:
        tables.say(
            f"{added.role} {added.id}{f' of {added.agency}' if added.agency else ''}; in public {added.pseudonym}"
        )


def _add_owner(context: typer.Context, owner: str, name: str, *, mail: str, as_json: bool) -> None:
    from lamplighter.cli import tables
    from pipeline.clip import Owner

    try:
        wanted = Owner(owner, name, mail)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    with desk_of(context) as desk:
        if any(one.id == owner for one in desk.owners()):
            raise Conflict(f"there is an owner {owner!r} already; `lamplighter owners import` changes what is known")
        desk.import_owners([wanted])
    if as_json:
        tables.write_json({"id": owner, "role": Role.OWNER, "name": name, "mail": mail})
    else:
        tables.say(f"owner {owner}")


@people_app.command("list")
def list_people(context: typer.Context, person: ActingIfGiven = "", as_json: Json = False) -> None:
    """Show the people of staff; `owners list` shows the owners."""
    from lamplighter.cli import tables

    with desk_as(context, person) as desk:
        people = desk.people()
    if as_json:
        tables.write_json([_document(one) for one in people])
    else:
        rows = [(one.id, one.role, one.agency, one.name, one.mail, one.pseudonym, _since(one) or "") for one in people]
        columns = ("person", "role", "agency", "name", "mail", "in public", "disabled since")
        tables.table("People", *columns, rows=rows)


@people_app.command("disable")
def disable_person(
    context: typer.Context, person: Annotated[str, typer.Argument(help="Their id.")], as_json: Json = False
) -> None:
    """Let a person do nothing any more; what they did stays, and their id is given to nobody else."""
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        disabled = desk.disable_person(person)
    if as_json:
        tables.write_json(_document(disabled))
    else:
        tables.say(f"{disabled.role} {disabled.id} is disabled since {_since(disabled)}")


def _since(person: Person) -> str | None:
    from lamplighter.report.wording import second

    return None if person.disabled_ns is None else second(person.disabled_ns)


def _document(person: Person) -> dict[str, object]:
    names = ("id", "role", "agency", "name", "mail", "pseudonym")
    return {name: getattr(person, name) for name in names} | {"disabled": _since(person)}
