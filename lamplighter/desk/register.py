"""The register: which cameras and owners there are, and who of them is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from lamplighter.desk.holdings import Holdings
from pipeline.actor import Role
from pipeline.clip import Camera, Clip, Owner, Sharing, Transfer, is_address
from pipeline.errors import ConfigError, NotAllowed, NotFound
from pipeline.roster import check_aliases
from storage.catalog.audit import Line

T = TypeVar("T", Camera, Owner)


def import_cameras(holdings: Holdings, cameras: Sequence[Camera]) -> None:
    """Write the cameras; one that is there is changed, and the change is logged.

    Raises ConfigError, and writes none, when an alias would be another camera's name.
    """
    before = holdings.catalog.cameras()
    known = {one.id: one for one in before}
    cameras = [_as_allowed(holdings, camera, known.get(camera.id)) for camera in cameras]
    try:
        check_aliases((known | {one.id: one for one in cameras}).values())
    except ValueError as error:
        raise ConfigError(str(error)) from error

    def handed(old: Camera | None, now: Camera) -> Transfer | None:
        if old is None or old.owner == now.owner:
            return None
        return Transfer(now.id, old.owner, now.owner, time.time_ns(), old.private)

    # What an owner said of it since it was looked at holds, so each is looked at once more in turn.
    holdings.catalog.put_cameras(
        cameras,
        settle=lambda old, now: _as_allowed(holdings, now, old),
        log=_changes(holdings, "camera", known, _told),
        handed=handed,
    )


def _as_allowed(holdings: Holdings, camera: Camera, before: Camera | None) -> Camera:
    """Return a camera as it may be written: "always" is its owner's word, and runs out.

    Raises ConfigError for another person's "always", NotAllowed for a camera that is not the owner's who imports it.
    """
    actor = holdings.actor
    # What is private is for its owner to say, in another way; it stays when the camera changes hands, until they do.
    of_owner = camera.private if actor.role is Role.OWNER else ()
    camera = replace(camera, private=of_owner if before is None else before.private)
    if before is not None and before.gift and before.owner == camera.owner and not camera.gift:
        # A file that does not say so, or an owner who would rather not, does not make it one that was paid for.
        camera = _given(camera)
    if actor.role is Role.OWNER and (camera.owner != actor.name or (before and before.owner != actor.name)):
        raise NotAllowed(f"{actor} may import their own cameras alone; {camera.id} is not theirs")
    if camera.sharing is not Sharing.ALWAYS:
        return replace(camera, always_until_ns=None)
    if actor.role is not Role.OWNER:
        if before is not None and before.sharing is Sharing.ALWAYS and before.owner == camera.owner:
            return replace(camera, always_until_ns=before.always_until_ns)  # their word, and it ends when they said
        raise ConfigError(
            f"camera {camera.id}: that it always shares is for its owner {camera.owner} to say: import cameras of your "
            f"own with --owner {camera.owner}, or import it as `ask`, and let them set it (lamplighter owners allow)"
        )
    return replace(camera, always_until_ns=time.time_ns() + holdings.settings.case.always_ns)


def _given(camera: Camera) -> Camera:
    try:
        return replace(camera, gift=True)
    except ValueError as error:
        raise ConfigError(f"{error}; import it as `ask`") from error


def _told(camera: Camera) -> str:
    """Return what the log says of a camera."""
    told = f"sharing {camera.sharing.value}, owner {camera.owner}{', a gift' if camera.gift else ''}"
    if camera.zone:
        told += f", zone {camera.zone}"
    if camera.clock_offset_s or camera.clock_known:
        told += f", clock {camera.clock_offset_s:+g} s ({camera.clock_known or 'not said how that is known'})"
    return told + (f", also called {'; '.join(camera.aliases)}" if camera.aliases else "")


def import_owners(holdings: Holdings, owners: Sequence[Owner]) -> None:
    """Write the owners; one that is there is changed, and the change is logged, without their name and address.

    Raises ConfigError, and writes none, for an address that no mail can be written to.
    """
    for owner in owners:
        check_address(f"owner {owner.id}", owner.mail)
    known = {one.id: one for one in holdings.catalog.owners()}

    def settle(old: Owner | None, now: Owner) -> Owner:
        return now if old is None else replace(now, opted_out_ns=old.opted_out_ns)  # their own word, not the import's

    log = _changes(holdings, "owner", known, lambda one: f"discloses {' '.join(one.discloses) or 'nothing'}")
    holdings.catalog.put_owners(owners, settle=settle, log=log)


def check_address(whose: str, address: str) -> None:
    """Raise ConfigError for a mail address that cannot be; none at all is no fault."""
    if address and not is_address(address):
        raise ConfigError(f"{whose}: no mail can be written to {address!r}; wanted one such as olga@example.org")


def _changes(
    holdings: Holdings, noun: str, known: Mapping[str, T], told: Callable[[T], str]
) -> Callable[[T | None, T], Line | None]:
    """Return what gives the line of one that is new or changed, to the bucket or to the catalogue.

    Whoever was killed before the line had written to the bucket alone, and says it again.
    """

    def log(old: T | None, now: T) -> Line | None:
        before = known.get(now.id)
        if old == now == before:
            return None
        return holdings.line(f"{noun} added" if before is None else f"{noun} changed", now.id, told(now))

    return log


def camera(holdings: Holdings, name: str) -> Camera:
    """Return the camera of that id. Raises NotFound."""
    found = holdings.catalog.camera(name)
    if found is None:
        raise NotFound(f"there is no camera {name!r}; `lamplighter show` counts them")
    return found


def without_camera(clip: Clip) -> NotFound:
    """Return the error of a clip whose camera the catalogue does not hold."""
    return NotFound(
        f"clip {clip.id} is of camera {clip.camera}, which is not in the catalogue; "
        "import it (lamplighter cameras import)"
    )


def is_owner(holdings: Holdings, name: str) -> bool:
    """Tell whether an owner is known: who was imported, or whom a camera names."""
    catalog = holdings.catalog
    return catalog.owner(name) is not None or any(camera.owner == name for camera in catalog.cameras())


def check_owner(holdings: Holdings, owner: str) -> None:
    """Raise NotFound for an owner nobody knows."""
    if not is_owner(holdings, owner):
        raise NotFound(f"there is no owner {owner!r}; `lamplighter owners import` brings them")
