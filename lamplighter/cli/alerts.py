"""`lamplighter alerts`: of which motion at their own cameras owners are told, and how."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamplighter.cli.options import Acting, Json, desk_as, desk_of, length_ns, text_of
from pipeline.errors import ConfigError
from pipeline.span import NS

if TYPE_CHECKING:
    from lamplighter.desk.alerts import Standing

alerts_app = typer.Typer(no_args_is_help=True, help="Owners are told of motion at their own cameras, as they set it.")
OwnCamera = Annotated[str, typer.Argument(help="A camera of yours.")]


@alerts_app.command("set")
def set_alert(
    context: typer.Context,
    camera: OwnCamera,
    *,
    acting: Acting,
    mail: Annotated[bool, typer.Option("--mail", help="Tell me by mail, to my address.")] = False,
    mqtt: Annotated[
        str,
        typer.Option(help="Tell me by this broker: mqtts://[USER@]HOST[:PORT]; mqtt:// where the settings name it."),
    ] = "",
    topic: Annotated[str, typer.Option(help="Publish at TOPIC/CAMERA/alert.")] = "lamplighter",
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password of the broker's user; - is standard input.")
    ] = None,
    webhook: Annotated[
        str, typer.Option(help="Post to this address: https://HOST/PATH; env:NAME takes it from a variable.")
    ] = "",
    secret_file: Annotated[
        Path | None, typer.Option(help="File with the webhook's secret (whsec_...); without one a secret is made.")
    ] = None,
    zone: Annotated[
        list[str] | None,
        typer.Option(help='Only of motion in this zone, as "0,0 0.3,0 0.3,0.5"; several times.'),
    ] = None,
    quiet: Annotated[list[str] | None, typer.Option(help="Not in these hours: 22:00-06:30; several times.")] = None,
    time_zone: Annotated[str, typer.Option(help="By these clocks, e.g. Europe/Vienna; default: the camera's.")] = "",
    cap: Annotated[int | None, typer.Option(help="At most so many alerts a day.")] = None,
    score: Annotated[float | None, typer.Option(help="Only of motion with this score or more.")] = None,
    older: Annotated[str | None, typer.Option(help="Not when it is older than this, such as 10m.")] = None,
    still: Annotated[bool, typer.Option("--still", help="Send a small still along; private zones are black.")] = False,
    as_json: Json = False,
) -> None:
    """Set of which motion at a camera of yours you are told, in place of what was set before.

    A message says camera, clip, times, the score of the motion and a link; the film never leaves with it. What opens a
    broker or a webhook is kept beside this machine's keys alone. A webhook's secret that was made is shown once, here.
    """
    from lamplighter.cli.cover import zones_of
    from lamplighter.desk.alerts import Wanted

    wanted = Wanted(
        *(
            mail,
            mqtt,
            topic,
            _line(password_file, "--password-file"),
            _url(webhook),
            _line(secret_file, "--secret-file"),
        ),
        zones=zones_of(zone or (), "--zone"),
        quiet=tuple(quiet or ()),
        zone=time_zone,
        cap=cap,
        min_score=score,
        max_age_s=None if older is None else -(-length_ns(older, "--older") // NS),
        still=still,
    )
    with desk_as(context, acting) as desk:
        standing = desk.set_alert(camera, wanted)
    _print(standing, as_json=as_json)


@alerts_app.command("show")
def show_alert(context: typer.Context, camera: OwnCamera, *, acting: Acting, as_json: Json = False) -> None:
    """Show what is set for a camera of yours, and what you were told lately or not told, and why."""
    with desk_as(context, acting) as desk:
        standing = desk.alert(camera)
    _print(standing, as_json=as_json)


@alerts_app.command("test")
def try_alert(context: typer.Context, camera: OwnCamera, *, acting: Acting, as_json: Json = False) -> None:
    """Send yourself a message that tells of nothing, by each way that is set. Ends with 1 when one was not taken."""
    from lamplighter.cli import tables

    with desk_as(context, acting) as desk:
        found = desk.test_alert(camera)
    if as_json:
        tables.write_json({"camera": camera, "ways": {way: why or "taken" for way, why in found.items()}})
    else:
        tables.table("Test", "way", "what became of it", rows=[(way, why or "taken") for way, why in found.items()])
    if any(found.values()):
        raise typer.Exit(1)


@alerts_app.command("off")
def alert_off(context: typer.Context, camera: OwnCamera, *, acting: Acting, as_json: Json = False) -> None:
    """Be told of nothing at a camera of yours any more, also of what waits; its broker and webhook are forgotten."""
    with desk_as(context, acting) as desk:
        standing = desk.alert_off(camera)
    _print(standing, as_json=as_json)


@alerts_app.command("send")
def send_alerts(
    context: typer.Context,
    *,
    length: Annotated[str, typer.Option("--for", help="How long those who are away are asked again.")] = "30s",
    as_json: Json = False,
) -> None:
    """Tell owners of what waits, where no `watch` runs that does. Ends with exit code 1 when some wait still."""
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        counts = desk.send_alerts(for_s=length_ns(length) / NS)
    if as_json:
        tables.write_json(counts)
    else:
        tables.say(alert_line(counts))
    if counts["waiting"]:
        raise typer.Exit(1)


def alert_line(counts: dict[str, Any]) -> str:
    """Return the counts of alerts in one line."""
    parts = [f"{count} told by {way}" for way, count in counts["told"].items()]
    parts += [f"{count} dropped: {why}" for why, count in counts["dropped"].items()]
    parts += [f"{counts['waiting']} wait"] if counts["waiting"] else []
    parts += [f"{way}: {why}" for way, why in counts["held_back"].items()]
    return "Alerts: " + ("; ".join(parts) or "none")


def _print(standing: Standing, *, as_json: bool) -> None:
    from lamplighter.cli import tables
    from lamplighter.desk.alerts import document

    told = document(standing)
    if as_json:
        tables.write_json(told)
        return
    if told["set"] is None:
        tables.say(f"camera {standing.camera}: nobody is alerted")
    else:
        rows = [(name, _text(value)) for name, value in told["set"].items() if value not in (None, [], ())]
        tables.table(f"Alert of camera {standing.camera}", "what", "set to", rows=rows)
    if standing.secret:
        tables.say(f"The webhook's secret, shown this once: {standing.secret}")
    if told["last"]:
        lately = [(one["start"], one["way"], f"{one['score']:.1f}", _fate(one)) for one in told["last"]]
        tables.table("Lately", "motion", "way", "score", "what became of it", rows=lately)
    if standing.waiting:
        tables.say(f"{standing.waiting} wait to be told")


def _fate(one: dict[str, Any]) -> str:
    return str(one["dropped"] or f"told {one['told']}")


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _url(text: str) -> str:
    """Return the address of a webhook, whose path is as good as a password."""
    if not text.startswith("env:"):
        return text
    name = text.removeprefix("env:")
    if not (found := os.environ.get(name, "")):
        raise ConfigError(f"--webhook: the variable {name} is empty or not set")
    return found


def _line(file: Path | None, flag: str) -> str | None:
    """Return the one line of a file."""
    if file is None:
        return None
    text = text_of(file, flag).removesuffix("\n").removesuffix("\r")
    if not text or not text.isprintable():
        raise ConfigError(f"{flag}: wanted one line in {file}")
    return text
