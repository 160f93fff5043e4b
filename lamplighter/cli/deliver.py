"""`lamplighter deliver`: what its owners let out, into the case of who asked; what is printed is the operator's."""

from __future__ import annotations

import typer

from lamplighter.cli.options import Json, RayAddress, RequestId, Workers, desk_of, exit_code


def deliver(
    context: typer.Context,
    request: RequestId,
    workers: Workers = None,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Cut every clip that its owner lets out, exactly the asked time, and release what is due, with its record.

    What is shared is released at the ticks of the clock (case.tick_s); what an owner asks of their own at once. What is
    printed is the operator's, and so is the exit code, which tells that something was set aside; what the requester may
    see is shown by `lamplighter case show`.
    """
    from lamplighter.cli import tables
    from lamplighter.desk.delivery import told

    with desk_of(context, batch={"workers": workers, "ray_address": ray_address}) as desk:
        asked = desk.request(request)
        with tables.followed("Delivering", quiet=as_json) as saw:
            tally = desk.deliver(asked, saw=saw)
        tables.tell_aside(tally)
        if tally.waits:
            tables.tell(f"{tally.waits} cut and not released yet: what is shared leaves at the next tick (case.tick_s)")
        for lack in tally.lacks:
            tables.tell(f"the list of what was released lacks {lack}; once there are keys, the next delivery adds it")
        made = tables.made_rows(tally)
        if as_json:
            tables.write_json({"outcomes": dict(made), "delivered": told(tally.results)})
        else:
            tables.table(f"Request {request}", "clips", "outcome", rows=[(count, outcome) for outcome, count in made])
            tables.print_records([delivery.record for delivery in tally.results], desk.store_url)
    exit_code(tally)
