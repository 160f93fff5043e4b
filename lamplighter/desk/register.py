"""The register: which cameras and owners there are, and who of them is known."""

from __future__ import annotations

from collections.abc import Sequence

from lamplighter.desk.holdings import Holdings
from pipeline.clip import Camera, Clip, Owner
from pipeline.errors import NotFound


def import_cameras(holdings: Holdings, cameras: Sequence[Camera]) -> None:
    """Write the cameras; one that is there is changed, and the change is logged."""
    before = {camera.id: camera for camera in holdings.catalog.cameras()}
    holdings.catalog.put_cameras(cameras)
    for camera in cameras:
        old = before.get(camera.id)
        if old != camera:
            action = "camera added" if old is None else "camera changed"
            holdings.log(action, camera.id, f"sharing {camera.sharing.value}, owner {camera.owner}")


def import_owners(holdings: Holdings, owners: Sequence[Owner]) -> None:
    """Write the owners; one that is there is changed, and the change is logged, without their name and address."""
    before = {owner.id: owner for owner in holdings.catalog.owners()}
    holdings.catalog.put_owners(owners)
    for owner in owners:
        old = before.get(owner.id)
        if old != owner:
            told = " ".join(owner.discloses) or "nothing"
            holdings.log("owner added" if old is None else "owner changed", owner.id, f"discloses {told}")


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


def check_owner(holdings: Holdings, owner: str) -> None:
    """Raise NotFound for an owner nobody knows: who was not imported, and whom no camera names."""
    if holdings.catalog.owner(owner) is None and all(camera.owner != owner for camera in holdings.catalog.cameras()):
        raise NotFound(f"there is no owner {owner!r}; `lamplighter owners import` brings them")
