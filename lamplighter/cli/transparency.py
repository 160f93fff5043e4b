"""`lamplighter transparency`: what everybody may read of the requests here, as files for any web server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamplighter.cli.options import Json, desk_of, one_of
from pipeline.errors import ConfigError
from pipeline.neighbourhood.source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping


def transparency(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option(help="Folder for the files; made when it is missing.")] = None,
    check: Annotated[Path | None, typer.Option(help="Folder with files to check, or with a copy of them.")] = None,
    source: Annotated[
        Source, typer.Option("--from", help="What they are computed from; both give the same bytes.")
    ] = Source.LOG,
    as_json: Json = False,
) -> None:
    """Write the public page: agencies, what they asked for, what was refused, and on what basis footage was released.

    JSON, CSV, one page, and one page for each agency, without a script: put the folder on any web server, and write it
    anew as often as you like. Owners' answers stand in it by place and quarter alone, ten owners or more at a time, and
    a quarter that was told once never changes. A request under way is not in it ([transparency] says how long after).

    --check tells whether a folder holds what the log gives; exit code 1 when it does not.
    """
    one_of({"--out": out, "--check": check})
    if out is not None:
        with desk_of(context) as desk:
            data = desk.transparency(source)
        _write(out, data, as_json=as_json)
    elif check is not None:
        _check(context, check, as_json=as_json)


def _write(folder: Path, data: bytes, *, as_json: bool) -> None:
    from lamplighter.cli import tables
    from lamplighter.desk.files import write_file
    from lamplighter.report.transparency import public_files, read

    figures = read(data)
    files = public_files(figures)
    for name in sorted(files):
        write_file(folder / name, files[name])
    for path in _pages(folder) - {folder / name for name in files}:  # of an agency that is there no more
        path.unlink()
    told = {name: figures["log"][name] for name in ("origin", "size", "root", "as_of")}
    if as_json:
        tables.write_json({"folder": str(folder), "files": sorted(files), "log": told})
        return
    tables.say(f"{len(files)} files in {folder}, computed from {told['size']} entries of the log")
    tables.say(f"root {told['root']}")


def _check(context: typer.Context, folder: Path, *, as_json: bool) -> None:
    from lamplighter.cli import tables
    from lamplighter.report.transparency import FIGURES, public_files, read

    with desk_of(context) as desk:
        checked = desk.check_transparency(_bytes(folder / FIGURES))
    wanted = public_files(read(checked.data))
    wrong = _wrong(folder, wanted)
    if as_json:
        tables.write_json({"right": not wrong, "published": checked.published, "files": len(wanted), "wrong": wrong})
    else:
        for name, what in wrong.items():
            tables.say(f"{name}: {what}")
        if wrong:
            tables.say(f"NOT WHAT THE LOG GIVES: {len(wrong):,} of {len(wanted):,} files")
        else:
            said = "and the log says that they were published" if checked.published else "they were never published"
            tables.say(f"{len(wanted):,} files are what the log gives, {said}")
    if wrong:
        raise typer.Exit(1)


def _wrong(folder: Path, wanted: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what is wrong with a folder, by the names of its files."""
    found = {}
    for name, data in sorted(wanted.items()):
        if not (folder / name).is_file():
            found[name] = "is missing"
        elif _bytes(folder / name) != data:
            found[name] = "is not what the log gives"
    more = {path.name: "is of no agency of the log" for path in _pages(folder) if path.name not in wanted}
    return found | dict(sorted(more.items()))


def _pages(folder: Path) -> set[Path]:
    return set(folder.glob("agency-*.html"))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--check: {path} cannot be read: {error.strerror or error}") from error
