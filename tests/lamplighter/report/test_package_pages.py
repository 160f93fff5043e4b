"""No page, picture, copy or credential of a package tells a camera, an owner or a source: of a real release."""

from pathlib import Path

import pytest

from fleet_fixtures import CAMERAS, Films, a_request, answer, ask, put_film
from lamplighter.desk.desk import Desk
from lamplighter.report.evidence import render_certificate, render_report
from pipeline.evidence.credentials import check_credentials
from pipeline.evidence.derived import derive
from pipeline.evidence.keys import Purpose, Signer
from pipeline.evidence.manifest import File, Manifest, Part
from pipeline.log.entry import Entry
from samples import NOON

pytestmark = pytest.mark.whole
PLACES = {Part.ORIGINAL: "originals/{}.mp4", Part.COPY: "copies/{}.mp4", Part.STILL: "{}.png"}


def place(part: Part, name: str) -> str:
    return PLACES.get(part, "{}.c2pa").format(name)


def test_nothing_in_a_package_names_a_camera_an_owner_or_a_source(desk: Desk, films: Films, tmp_path: Path) -> None:
    for name in ("always-1", "ask-1", "ask-2", "never-1"):
        put_film(films.moving, tmp_path / "in", name)
    desk.ingest([str(tmp_path / "in")])
    asked = ask(desk, a_request())
    answer(desk, asked, "piet", share=None)
    desk.deliver(asked)
    case, signer = desk.acting_for("otto").case(asked.id).document(), Signer.make(Purpose.EVIDENCE, NOON)
    folder, store = tmp_path / "package", desk._holdings.archive.store
    files: list[File] = []
    for told in case.pop("clips"):
        path = folder / place(Part.ORIGINAL, told["name"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.get(told["key"]))
        of = File(place(Part.ORIGINAL, told["name"]), told["sha256"], told["size"], Part.ORIGINAL, told["name"], told)
        files += derive(folder, of, place=place, program="lamplighter 0.3.0", signer=signer)
    assert len({one.clip for one in files}) == 2
    for one in files:
        if one.part is Part.CREDENTIALS:
            assert check_credentials(folder / one.facts["of"], folder / one.path, [signer.key]) == []
    made = Manifest(asked.id, NOON, "otto", "lamplighter 0.3.0", case, tuple(files), keys=(signer.key.fingerprint,))
    stills = {one.path: (folder / one.path).read_bytes() for one in files if one.part is Part.STILL}
    (folder / "report.html").write_text(render_report(made, stills, ()), encoding="utf-8")
    (folder / "certificate.html").write_text(render_certificate(made), encoding="utf-8")
    hidden = {word for camera in CAMERAS for word in (camera.id, camera.owner) if len(word) > 3}
    for ingested in desk.clips():
        hidden |= {ingested.clip.id, ingested.clip.sha256, ingested.clip.key, ingested.source}
    assert {"always-1", "piet"} <= hidden
    for path in filter(Path.is_file, folder.rglob("*")):
        data = path.read_bytes()
        assert not [word for word in hidden if word.encode() in data], path.name


def test_the_fields_of_an_entry_of_the_log_are_those_the_report_tells() -> None:
    """Another field would be told by its name, which people do not know."""
    assert set(Entry.__dataclass_fields__) == {"at_ns", "actor", "action", "subject", "detail", "request", "sha256"}
