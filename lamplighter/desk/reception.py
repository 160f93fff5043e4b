"""Whom a desk serves, and the operations on what it knows of the fleet and of the people in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lamplighter.desk import people, register
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.roles import operation
from lamplighter.settings import Settings
from pipeline.actor import Actor, Role
from pipeline.clip import Camera, Owner, Sharing
from pipeline.detection.layers import header
from pipeline.people import Agency, Person
from pipeline.zone import Zone


class Reception:
    """Whom a desk serves, and the operations on what it knows of the fleet."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings

    def _check_actor(self) -> None:
        people.check_actor(self._holdings)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._holdings.settings

    @property
    def actor(self) -> Actor:
        """Who all is done for."""
        return self._holdings.actor

    @property
    def store_url(self) -> str:
        """Where the store is, for people."""
        return self._holdings.archive.store.url

    @operation
    def import_cameras(self, cameras: Sequence[Camera]) -> None:
        """Write the cameras; one that is there is changed, and the change is logged."""
        register.import_cameras(self._holdings, cameras)

    @operation
    def import_owners(self, owners: Sequence[Owner]) -> None:
        """Write the owners; one that is there is changed, and the change is logged."""
        register.import_owners(self._holdings, owners)

    @operation
    def cameras(self) -> list[Camera]:
        """Return all cameras, in order of id."""
        return self._holdings.catalog.cameras()

    @operation
    def camera(self, camera: str) -> Camera:
        """Return the camera of that id. Raises NotFound."""
        return register.camera(self._holdings, camera)

    @operation
    def owners(self) -> list[Owner]:
        """Return the owners that were imported, in order of id."""
        return self._holdings.catalog.owners()

    @operation
    def strangers(self) -> list[str]:
        """Return a warning for every table of the settings that is for a camera there is none of."""
        known = {camera.id for camera in self._holdings.catalog.cameras()}
        names = self.settings.layers.strangers(known)
        return [f"{header(('camera', name))} is for a camera that is not in the catalogue" for name in names]

    @operation
    def show(self, thing: str | None = None) -> dict[str, Any]:
        """Return what is known of a camera, clip or request by its id, or of the fleet. Raises NotFound."""
        from lamplighter.desk.show import show

        return show(self._holdings, thing)

    @operation
    def add_agency(self, agency: Agency) -> Agency:
        """Write an agency that may ask; one that is there is changed, and the change is logged.

        Raises Conflict when its id or name reads like that of another one.
        """
        return people.add_agency(self._holdings, agency)

    @operation
    def agencies(self) -> list[Agency]:
        """Return all agencies, in order of id."""
        return self._holdings.catalog.cases.agencies()

    @operation
    def add_person(self, name: str, role: Role, *, full_name: str = "", mail: str = "", agency: str = "") -> Person:
        """Add a person who acts in one role, an officer of an agency; return them with their public pseudonym.

        Raises Conflict for an id that was given before or reads like one, and for the mail address of another person;
        NotFound for an agency nobody knows, NotAllowed for an officer's mail address outside the agency's domain.
        """
        return people.add_person(self._holdings, name, role, full_name=full_name, mail=mail, agency=agency)

    @operation
    def disable_person(self, name: str) -> Person:
        """Let a person do nothing any more; what they did stays. Raises NotFound."""
        return people.disable_person(self._holdings, name)

    @operation
    def people(self) -> list[Person]:
        """Return all persons of staff, in order of id."""
        return self._holdings.catalog.cases.people()

    @operation
    def allow(self, camera: str, sharing: Sharing) -> Camera:
        """Set what a camera of the actor's own allows; "always" holds for the days of the settings, then ends.

        Raises NotFound for a camera that is not theirs, NotAllowed for "always" of a camera that was given to them.
        """
        from lamplighter.desk.answers import allow

        return allow(self._holdings, camera, sharing)

    @operation
    def set_private(self, camera: str, zones: Iterable[Zone]) -> Camera:
        """Set which zones of the picture of a camera of the actor's own are private; none takes all of them off.

        They are covered in all that leaves of it from now on, whoever asks; its owner's own request is excepted, and a
        legal order that says so. Raises NotFound for a camera that is not theirs, ConfigError for zones that cannot be.
        """
        from lamplighter.desk.answers import set_private

        return set_private(self._holdings, camera, zones)
