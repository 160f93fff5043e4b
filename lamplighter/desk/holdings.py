"""What the desk works on: the settings, the store and the catalogue of one fleet, opened once, and for whom."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from lamplighter.settings import Settings
from pipeline.actor import Actor, Proof, Role
from pipeline.case.request import Request
from pipeline.errors import ConfigError
from storage.access import ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, StoreSettings
from storage.archive import Archive
from storage.catalog.audit import Line, Logged
from storage.catalog.catalog import Catalog
from storage.remembered import Remembered
from workers.patience import Patient

if TYPE_CHECKING:
    from workers.ingest import Context


@dataclass(frozen=True, slots=True)
class Holdings:
    """One fleet's settings, store and catalogue, and the actor all is done for."""

    settings: Settings
    store: StoreSettings
    archive: Archive
    catalog: Catalog
    actor: Actor

    @property
    def context(self) -> Context:
        """What the workers need of it."""
        from workers.ingest import Context  # noqa: PLC0415 - decoding and measuring, which not every operation does

        ingest = self.settings.ingest
        return Context(
            self.store,
            self.settings.measure,
            ingest.max_pixels,
            raw_rate=Fraction(ingest.raw_rate) if ingest.raw_rate else None,
            track=ingest.track,
            future_slack_s=ingest.future_slack_s,
        )

    def of(self, actor: Actor) -> Holdings:
        """Return the same for another actor."""
        return replace(self, actor=actor)

    def line(
        self,
        action: str,
        subject: str,
        detail: str = "",
        *,
        request: Request | str = "",
        sha256: Mapping[str, str] | None = None,
        at_ns: int | None = None,
    ) -> Line:
        """Return one line for the log, in the actor's name; of an own `request` all goes to the log that is kept."""
        actor, own = self.actor, not isinstance(request, str) and bool(request.own)
        who = str(actor) if actor.proof is Proof.LOGGED_IN else f"{actor}, {actor.proof}"
        now_ns = time.time_ns() if at_ns is None else at_ns
        name = request if isinstance(request, str) else request.id
        return Line(now_ns, who, action, subject, detail, request=name, sha256=sha256 or {}, own=own)

    def log(self, action: str, subject: str, detail: str = "", *, request: Request | str = "") -> Logged:
        """Append one line to the log, in the actor's name; return it in its place."""
        return self.catalog.logs.append(self.line(action, subject, detail, request=request))[0]


@contextmanager
def opened(settings: Settings, actor: Actor) -> Iterator[Holdings]:
    """Open store and catalogue; a MinIO of our own is found by its data folder.

    A bucket that is missing is made on request alone (`store.create`), but for the one of our own server that a run
    names nowhere: a mistyped one must not become an empty one. A folder is made.
    """
    store = store_of(settings)
    objects = Patient.open(store)
    ours = not settings.store.endpoint and settings.store.bucket == StoreSettings().bucket
    objects.ensure_bucket(make=store.kind == "directory" or store.create or ours)
    archive = Archive(objects)
    archive.remembered = remembered_of(settings, archive)
    catalog = Catalog(settings.catalog_url, archive, patience_s=settings.batch.store_patience_s)
    try:
        yield Holdings(settings, store, archive, catalog, actor)
    finally:
        catalog.close()


def remembered_of(settings: Settings, archive: Archive) -> Remembered:
    """Return what this machine knows of a bucket from outside of it."""
    return Remembered(settings.data.absolute() / "logs", archive.store.url)


def store_of(settings: Settings) -> StoreSettings:
    """Return the store that the settings mean: the default folder and a MinIO of our own are in the data folder.

    Raises ConfigError where they mean a MinIO of our own and none runs.
    """
    store = settings.store
    if store.kind == "directory" and not store.path:
        return store.model_copy(update={"path": str((settings.data / "objects").absolute())})
    if store.kind == "s3" and not store.endpoint:
        return _own_server(settings)
    if store.ca_file:  # workers need not start in the folder we are in
        return store.model_copy(update={"ca_file": str(Path(store.ca_file).expanduser().absolute())})
    return store


def _own_server(settings: Settings) -> StoreSettings:
    from storage import minio_server  # noqa: PLC0415 - no other store needs it

    server = minio_server.status(settings.data / "minio")
    if server is None:
        raise ConfigError("store.endpoint is empty and no MinIO of our own runs here; `lamplighter minio start`")
    # The workers of a Ray of our own inherit these; they are written nowhere else.
    os.environ[ACCESS_KEY], os.environ[SECRET_KEY] = server.credentials.access_key, server.credentials.secret_key
    os.environ.pop(SESSION_TOKEN, None)  # of other credentials
    own = {"endpoint": server.endpoint, "secure": False, "ca_file": "", "addressing": "path"}
    return settings.store.model_copy(update=own)


def operator() -> Actor:
    """Return who sits at this machine: the operator, under the name they logged in with."""
    try:
        return Actor(Role.OPERATOR, getpass.getuser(), proof=Proof.LOGGED_IN)
    except (KeyError, OSError, ValueError):  # a container's user need not have a name
        return Actor(Role.OPERATOR, f"user {os.getuid()}", proof=Proof.LOGGED_IN)
