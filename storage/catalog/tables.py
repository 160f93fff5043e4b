"""The catalogue's tables as this version has them, and the version number under which they are kept.

Whoever changes a table here adds a step to migrations/versions and raises NEWEST; a test compares the two ways here.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

NEWEST: Final = "0014"
meta: Final = sa.MetaData()


class Exact(sa.TypeDecorator[Fraction]):
    """A fraction, kept as text such as "1/15360"; no database has a type for it."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Fraction | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        """Return the text of a fraction."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Fraction | None:  # noqa: ARG002
        """Return the fraction of a text; a fleet has few of them and a search thousands of rows."""
        return None if value is None else _fraction(value)


_fraction = lru_cache(1024)(Fraction)

# One row: the last step that was taken, written by Alembic. Not under its usual name, which another program in the same
# PostgreSQL database may use.
VERSION_TABLE: Final = "catalog_version"
version: Final = sa.Table(
    VERSION_TABLE,
    meta,
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)
# One row, updated first in every transaction that must see what the one before it did: on SQLite the update takes the
# write lock, on PostgreSQL the row lock. A transaction that read first could be refused at its first write instead.
# It also knows the longest clip, so that a search by time need not look at everything older than its span.
turn: Final = sa.Table(
    "turn",
    meta,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("n", sa.BigInteger),
    sa.Column("longest_ns", sa.BigInteger, nullable=False, server_default="0"),
)
owners: Final = sa.Table(
    "owners",
    meta,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
)
cameras: Final = sa.Table(
    "cameras",
    meta,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("lon", sa.Float(53), nullable=False),
    sa.Column("lat", sa.Float(53), nullable=False),
    sa.Column("owner", sa.String(64), nullable=False, index=True),
    sa.Column("sharing", sa.String(8), nullable=False),
    sa.Column("zone", sa.Text, nullable=False, server_default=""),
    sa.Column("clock_offset_s", sa.Float(53), nullable=False, server_default="0"),
    sa.Column("clock_known", sa.Text, nullable=False, server_default=""),
    sa.Column("aliases", sa.Text),
    sa.Column("always_until_ns", sa.BigInteger),
    sa.Column("gift", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("private", sa.Text),
    sa.Index("cameras_place", "lat", "lon"),
)


def _clip_key() -> Sequence[sa.Column[Any]]:
    return (
        sa.Column("camera", sa.String(64), primary_key=True),
        sa.Column("start_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(20), primary_key=True),
    )


# The rows themselves lie in the order of camera and time: those of one request are neighbours, and the age of the
# catalogue costs nothing. (The id follows from the other two and the content.) What a record says is in columns of its
# own: to parse thousands of documents was most of what a search cost, and half of the catalogue's size their keys.
clips: Final = sa.Table(
    "clips",
    meta,
    *_clip_key(),
    sa.Column("end_ns", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("codec", sa.Text, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("time_base", Exact, nullable=False),
    sa.Column("first_pts", sa.BigInteger, nullable=False),
    sa.Column("end_pts", sa.BigInteger, nullable=False),
    sa.Column("frames", sa.BigInteger, nullable=False),
    sa.Column("audio", sa.Text),
    sa.Column("activity", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    # JSON; none for a recording of which there is nothing to tell, as almost all are.
    sa.Column("condition", sa.Text),
    sa.Column("clock", sa.Text),
    sa.Column("track", sa.Integer, nullable=False, server_default="0"),
    sa.Index("clips_id", "id"),
    sqlite_with_rowid=False,
)
# When something moved in a clip, found once; one row a clip at most, in the order of the clips. No truth: who reads one
# asks whether it is stale, and a rebuild forgets them all.
kept_events: Final = sa.Table(
    "kept_events",
    meta,
    *_clip_key(),
    sa.Column("document", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
# Which files a clip came from: with it go their marks, which nothing else finds by the clip.
marks: Final = sa.Table(
    "marks",
    meta,
    sa.Column("mark", sa.String(20), primary_key=True),
    sa.Column("clip", sa.String(20), nullable=False, index=True),
)
requests: Final = sa.Table(
    "requests",
    meta,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("agency", sa.Text, nullable=False),
    sa.Column("case_number", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("requests_case", "agency", "case_number"),
)
decisions: Final = sa.Table(
    "decisions",
    meta,
    sa.Column("request", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(64), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
)
deliveries: Final = sa.Table(
    "deliveries",
    meta,
    sa.Column("request", sa.String(64), primary_key=True),
    sa.Column("cut", sa.String(64), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
)
agencies: Final = sa.Table(
    "agencies",
    meta,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
)
people: Final = sa.Table(
    "people",
    meta,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
)
steps: Final = sa.Table(
    "steps",
    meta,
    sa.Column("request", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("document", sa.Text, nullable=False),
)
orders: Final = sa.Table(
    "orders",
    meta,
    sa.Column("request", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
)
usage: Final = sa.Table(
    "usage",
    meta,
    sa.Column("request", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
)
# The outbox: a letter waits until a server took it or it is clear that none will.
letters: Final = sa.Table(
    "letters",
    meta,
    sa.Column("request", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(160), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False, index=True),
    sa.Column("due_ns", sa.BigInteger, nullable=False),
    sa.Column("waits", sa.Boolean, nullable=False),
    sa.Column("message_id", sa.String(32), nullable=False, index=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("letters_due", "waits", "due_ns"),
)
# Whose link it is, by the hash of its secret; the secret itself is in no row. Beside it the hash of the link by which
# the same owner opts out, one for all revisions.
links: Final = sa.Table(
    "links",
    meta,
    sa.Column("token_sha256", sa.String(64), primary_key=True),
    sa.Column("request", sa.String(64), nullable=False),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("opt_out_sha256", sa.String(64), nullable=False, index=True),
)
# Who is signed in, and by which link or token somebody may: the hash of a secret that they alone hold. No truth of the
# fleet: a rebuild forgets them, and people sign in again.
passes: Final = sa.Table(
    "passes",
    meta,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("person", sa.String(64), nullable=False, index=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("bound", sa.String(256), nullable=False),
    sa.Column("made_ns", sa.BigInteger, nullable=False),
    sa.Column("seen_ns", sa.BigInteger, nullable=False),
    sa.Column("ends_ns", sa.BigInteger, nullable=False),
)
# The two logs: which entry stands at which index behind which hash; whose case one of the open log belongs to.
entries: Final = sa.Table(
    "entries",
    meta,
    sa.Column("log", sa.String(8), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("leaf", sa.String(64), nullable=False),
    sa.Column("request", sa.Text),
    sa.Index("entries_request", "request"),
)
