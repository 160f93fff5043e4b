"""`lamplighter order`: legal orders and emergencies, each by two persons."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Acting, ActingIfGiven, Json, RequestId, desk_as, span_of
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.case.order import Order

order_app = typer.Typer(no_args_is_help=True, help="Legal orders and emergencies: entered by one, approved by another.")

OrderId = Annotated[str, typer.Argument(help="The order's id.")]


class Kind(StrEnum):
    """What compels the release, as it is typed."""

    WARRANT = "warrant"
    COURT = "court"
    EMERGENCY = "emergency"


@order_app.command("enter")
def enter_order(
    context: typer.Context,
    request: RequestId,
    *,
    person: Acting,
    basis: Annotated[Kind, typer.Option(help="What compels the release; emergency: danger to life.")],
    authority: Annotated[str, typer.Option(help="Who made the order and its number, or what the danger is.")],
    camera: Annotated[list[str], typer.Option(help="A camera it names; several times.")],
    span: Annotated[str, typer.Option(help="The time it names: START/END.")],
    file: Annotated[Path | None, typer.Option(help="The order itself; its SHA-256 is kept.")] = None,
    untold_until: Annotated[str, typer.Option(help="Until when it forbids to tell the owner.")] = "",
    uncovered: Annotated[
        bool, typer.Option("--uncovered", help="It is for what owners keep private of their pictures too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Enter an order for a request. Nothing leaves before another person approves it.

    A court's order may name any camera and any time that has passed. An emergency is for the area and the time of its
    request; an officer of the agency may enter one, and is not told whether there are such cameras.
    """
    from lamplighter.cli import tables
    from lamplighter.report.lives import order_document
    from pipeline.case.order import Basis
    from pipeline.span import parse_iso

    named = span_of(span, "--span")
    try:
        untold_ns = parse_iso(untold_until) if untold_until else None
    except ValueError as error:
        raise ConfigError(f"--untold-until: {error}") from error
    with desk_as(context, person) as desk:
        entered = desk.enter_order(
            desk.request(request),
            Basis[basis.name],
            authority=authority,
            cameras=camera,
            span=named,
            file=file,
            untold_until_ns=untold_ns,
            uncovered=uncovered,
        )
    if as_json:
        tables.write_json(order_document(entered))
    else:
        tables.say(f"order {entered.id} is entered; another person approves it (lamplighter order approve)")


@order_app.command("approve")
def approve_order(
    context: typer.Context,
    request: RequestId,
    order: OrderId,
    *,
    person: Acting,
    call_back: Annotated[str, typer.Option(help="How it was checked with who made it: whom you called back, when.")],
    as_json: Json = False,
) -> None:
    """Approve an order that somebody else entered; the owners are told at once, or when it allows that."""
    from lamplighter.cli import tables
    from lamplighter.report.lives import order_document

    with desk_as(context, person) as desk:
        approved = desk.approve_order(desk.request(request), order, call_back=call_back)
    if as_json:
        tables.write_json(order_document(approved))
    else:
        tables.say(f"order {order} is in force; `lamplighter deliver {request}` releases what it names")


@order_app.command("withdraw")
def withdraw_order(
    context: typer.Context, request: RequestId, order: OrderId, *, person: Acting, as_json: Json = False
) -> None:
    """Withdraw an order: nothing more is released on it."""
    from lamplighter.cli import tables
    from lamplighter.report.lives import order_document

    with desk_as(context, person) as desk:
        withdrawn = desk.withdraw_order(desk.request(request), order)
    if as_json:
        tables.write_json(order_document(withdrawn))
    else:
        tables.say(f"order {order} is withdrawn; what was released on it is not called back")


@order_app.command("list")
def list_orders(context: typer.Context, request: RequestId, person: ActingIfGiven = "", as_json: Json = False) -> None:
    """Show the orders that were entered for a request."""
    from lamplighter.cli import tables
    from lamplighter.report.lives import order_document, order_state

    with desk_as(context, person) as desk:
        found = desk.orders(desk.request(request))
    if as_json:
        tables.write_json([order_document(one) for one in found])
        return
    columns = ("order", "stands", "basis", "authority", "cameras", "span", "private zones", "entered by", "approved by")
    tables.table(f"Orders for request {request}", *columns, rows=[_row(one, order_state(one)) for one in found])


def _row(order: Order, state: str) -> tuple[str, ...]:
    cameras = " ".join(order.cameras)
    told = (order.id, state, order.basis.value, order.authority, cameras, str(order.span))
    return (*told, "uncovered" if order.uncovered else "covered", order.entered_by, order.approved_by)
