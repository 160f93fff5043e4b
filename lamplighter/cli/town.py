"""`lamplighter demo --owners N`: a request over a town of simulated owners, who are written to and answer by mail."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamplighter.cli.options import settings_in
from pipeline.errors import Conflict

if TYPE_CHECKING:
    from lamplighter.desk.desk import Desk
    from lamplighter.desk.links import Invited
    from lamplighter.desk.tally import Tally
    from lamplighter.settings import Settings
    from pipeline.case.request import Request
    from simulation.mailpit import Mailpit
    from simulation.town import Town

_DAY_S = 86_400
_OPEN_S, _OPEN_S_EACH = 60, 1.0  # how long owners may answer: about what simulated ones take on a busy machine


@dataclass(frozen=True, slots=True)
class Stage:
    """Where and how the story is told: the settings file, the folder of all it writes, the store, the seed, workers."""

    config: Path | None
    folder: Path
    store: str
    seed: int
    workers: int | None


@dataclass(slots=True)
class TownStory:
    """What happened to one request over a town: by whom what was done, what left, and the seconds of each station."""

    store: str
    owners: int
    request: Request | None = None
    asked: int = 0
    letters: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    late: int = 0
    standings: Counter[str] = field(default_factory=Counter)
    state: str = ""
    released: int = 0
    delivered: Tally | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def station(self, name: str, told: str, *, quiet: bool) -> Iterator[None]:
        """Tell what is done now, and add the time it takes to a station."""
        from lamplighter.cli import tables

        if not quiet:
            tables.tell(told, style="bold")
        began = time.monotonic()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "request": self.request.id if self.request else None,
            "store": self.store,
            "owners": self.owners,
            "asked": self.asked,
            "letters": dict(self.letters),
            "answers": dict(self.answers),
            "late": self.late,
            "clips": dict(self.standings),
            "released": self.released,
            "state": self.state,
            "seconds": {name: round(seconds, 2) for name, seconds in self.seconds.items()},
        }


def tell_town(stage: Stage, *, owners: int, seconds: int, quiet: bool) -> TownStory:
    """Go the whole way of one request, by the desk and over a real mail server, as everybody does."""
    from lamplighter.cli import tables
    from lamplighter.desk import server
    from lamplighter.desk.desk import open_desk
    from simulation import mailpit
    from simulation.town import lay_out

    footage = stage.folder / f"town-{stage.seed}-{owners}-{seconds}s-{time.strftime('%Y%m%d', time.gmtime())}"
    town = lay_out(footage, owners=owners, seed=stage.seed, seconds=seconds)
    with mailpit.running(stage.folder / "mail", progress=tables.tell) as mailboxes:
        mailboxes.clear()
        settings = _settings(stage, owners, mailboxes)
        kept = server.kept(settings, progress=tables.tell) if stage.store == "minio" else nullcontext()
        with kept, open_desk(settings) as desk, desk.session():
            story = TownStory(desk.store_url, owners)
            _take_in(desk, town, story, footage, quiet=quiet)
            _ask(desk, town, story, quiet=quiet)
            _hear(desk, town, story, mailboxes, quiet=quiet)
            _release(desk, story, quiet=quiet)
        return story


def _settings(stage: Stage, owners: int, mailboxes: Mailpit) -> Settings:
    flags: dict[str, Any] = {
        "data": stage.folder / f"town-{stage.store}",
        "store": {"kind": "s3" if stage.store == "minio" else "directory"},
        "ingest": {"template": "{camera}/{start:%Y%m%dT%H%M%SZ}.mp4"},
        "request": {"incident_days": 0},
        "case": {"tick_s": 0, "open_days": (_OPEN_S + _OPEN_S_EACH * owners) / _DAY_S},
        "mail": {
            "host": mailboxes.host,
            "port": mailboxes.smtp_port,
            "security": "none",
            "sender": "lamplighter@town.example",
            "base_url": "https://lamplighter.town.example",
        },
    }
    return settings_in(stage.config, flags if stage.workers is None else flags | {"batch": {"workers": stage.workers}})


def _take_in(desk: Desk, town: Town, story: TownStory, footage: Path, *, quiet: bool) -> None:
    from lamplighter.cli import tables
    from lamplighter.desk.rehearsal import move_in
    from simulation.town import film_town

    told = f"Filming {len(town.films)} clips, shared out among {len(town.cameras)} cameras"
    with story.station("film", told, quiet=quiet), tables.progress(quiet=quiet) as bars:
        films = film_town(town, settings=desk.settings.batch)
        for _ in bars.track(films, total=len(town.films), description="film"):
            pass
    with story.station("take in", f"Taking {len(town.cameras)} clips in, store {desk.store_url}", quiet=quiet):
        desk.import_owners(town.owners)
        move_in(desk, town.cameras)
        with tables.followed("ingest", quiet=quiet) as saw:
            desk.ingest([str(footage / "clips")], saw=saw)


def _ask(desk: Desk, town: Town, story: TownStory, *, quiet: bool) -> None:
    from lamplighter.desk.rehearsal import ask

    with story.station("submit, review, send", "An officer asks, two reviewers approve, it is sent", quiet=quiet):
        story.request = ask(desk, *town.asked)
    with story.station("post", "Writing to every owner in the area", quiet=quiet):
        posted = desk.post()
    story.letters.update(posted.sent)
    story.asked = posted.sent["ask"]


def _hear(desk: Desk, town: Town, story: TownStory, mailboxes: Mailpit, *, quiet: bool) -> None:
    """Let the owners read their mail and do what they have a mind to, each by the link in their letter."""
    from lamplighter.cli import tables

    with story.station("read and answer", "The owners read their mail and answer by its link", quiet=quiet):
        try:
            _hear_all(desk, town, story, mailboxes)
        except Conflict:  # a machine may be slower than the clock
            if story.request is None or desk.standing(story.request).state != "closed":
                raise
            story.late = story.asked - sum(story.answers.values())
            tables.tell("warning: the request closed before all had answered: this machine is busy", style="yellow")


def _hear_all(desk: Desk, town: Town, story: TownStory, mailboxes: Mailpit) -> None:
    from simulation.town import Mind

    for text in _mail(mailboxes):
        link, opt_out = _links(text)
        invited = desk.by_link(link)
        mind = town.minds[invited.owner]
        if mind is Mind.OPTS_OUT:
            desk.opt_out_by_link(opt_out)
        elif mind is not Mind.SILENT:
            _answer(desk.acting_as(invited.actor), invited, mind)
        story.answers[mind] += 1
    mailboxes.clear()
    story.letters.update(desk.post().sent)
    for text in _mail(mailboxes):
        link, _ = _links(text)
        invited = desk.by_link(link)
        if town.minds[invited.owner] is Mind.WITHDRAWS:
            theirs = desk.acting_as(invited.actor)
            theirs.withdraw(invited.request, invited.owner, revision=invited.revision)


def _answer(desk: Desk, invited: Invited, mind: str) -> None:
    from pipeline.case.consent import Share
    from pipeline.span import NS, Span
    from simulation.town import Mind

    mine = [row.match.clip for row in desk.asked_of(invited.request, invited.owner)]
    clips = [clip for clip in mine if clip is not None and clip.span & invited.request.span]
    share: list[str | Share] = []
    if mind is Mind.SHARES_PART:
        middles = [(clip.id, (clip.span.start_ns + clip.span.end_ns) // 2) for clip in clips]
        share = [Share(name, (Span(middle_ns - 3 * NS, middle_ns + 3 * NS),)) for name, middle_ns in middles]
    elif mind is not Mind.DECLINES:
        share = [clip.id for clip in clips]
    desk.decide(invited.request, invited.owner, share=share, revision=invited.revision)


def _release(desk: Desk, story: TownStory, *, quiet: bool) -> None:
    from lamplighter.cli import tables

    request = story.request
    if request is None:
        raise ValueError("what is released was asked for")
    story.standings.update(row.standing.value for row in desk.match(request) if row.standing)
    told = "Releasing what its owners let out, at once: a real request waits for the next tick (case.tick_s)"
    with story.station("cut and release", told, quiet=quiet), tables.followed("deliver", quiet=quiet) as saw:
        story.delivered = desk.deliver(request, saw=saw)
    story.released = len(story.delivered.results)
    with story.station("close", "Waiting for the clock to close it", quiet=quiet):
        while (standing := desk.standing(request)).state != "closed":
            time.sleep(min(5.0, max(0.1, (standing.life.closes_ns or 0) / 1e9 - time.time())))
    story.state = standing.state.value
    story.letters.update(desk.post().sent)


def print_town(story: TownStory) -> None:
    """Print what happened, for people."""
    from lamplighter.cli import tables

    request = story.request.id if story.request else ""
    answers = [(count, what) for what, count in story.answers.most_common()]
    answers += [(story.late, "came too late")] if story.late else []
    tables.say()
    tables.table(f"Request {request}: {story.asked} owners asked by mail", "owners", "what they do", rows=answers)
    clips = [(count, what) for what, count in story.standings.most_common()]
    tables.table("\nClips in which something moved, or that were shared", "clips", "consent", rows=clips)
    letters = ", ".join(f"{count} {kind}" for kind, count in sorted(story.letters.items()))
    tables.say(f"\n{story.released} clips released; the request is {story.state}. Letters: {letters}.")
    rows = [(f"{seconds:.1f}", name) for name, seconds in story.seconds.items()]
    tables.table("\nWhere the time went", "seconds", "station", rows=rows, right=("seconds",))
    tables.say(f"The clips and their records: {story.store}/cases/{request}/")


def _mail(mailboxes: Mailpit) -> Iterator[str]:
    for message in reversed(mailboxes.messages()):
        yield str(mailboxes.message(message["ID"])["Text"])


def _links(text: str) -> tuple[str, str]:
    """Return the two links of a letter: the one to answer by, and the one to opt out by."""
    found = re.findall(r"https://\S+", text)
    return found[0], found[-1]
