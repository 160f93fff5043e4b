"""Which names of files and folders are clips', and by which rule each of the others is left where it is."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pipeline.media.origin import sidecar_names


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


SUFFIXES: Final = _set(
    ".mp4 .m4v .mov .mkv .webm .avi .ts .mts .m2ts .mpg .mpeg .3gp .flv .asf .wmv .ps .vob .m2v .m2p .mjpeg .mjpg "
    ".ogv .ivf .h264 .264 .avc .hevc .265 .h265 .dav .m4s"
)
"""The endings of the files that are taken, in lower case."""

_FOOTAGE: Final = _set(
    ".3g2 .360 .amv .ari .av1 .ave .avs .bik .braw .bvr .cctv .cmfv .divx .dv .dvr .dvr-ms .evo .f4v .g64 .g64x .h261 "
    ".h263 .h64 .h266 .ifv .insv .irf .lrf .lrv .m1v .m2t .mj2 .mjp .mod .mp2v .mp4v .mpe .mpg2 .mpg4 .mpv .mxf .n3r "
    ".nsv .nut .nvr .obu .ogm .ogx .pss .qt .r3d .rec .rm .rmvb .sdv .sec .ssf .tod .tp .trp .vc1 .vid .vp8 .vp9 .vse "
    ".vvc .wtv .xvid .y4m .yuv"
)
_ORDINARY: Final = _set(  # of what stands beside a clip: CLIP.mp4.txt is no footage, CLIP.mp4.old may be
    ".aac .asc .ass .bmp .csv .db .doc .docx .gif .gpx .heic .htm .html .idx .ini .jpeg .jpg .json .kml .lnk .log .m3u "
    ".m3u8 .m4a .md .md5 .mp3 .mpd .nfo .nmea .ok .pdf .png .py .sh .sha1 .sha256 .sha512 .sig .srt .sub .svg .thm "
    ".tif .tiff .txt .url .vtt .wav .webp .xls .xlsx .xml .yaml .yml"
)
_COMPANIONS: Final = _set(
    ".apdisk .directory .ds_store .localized .metadata_never_index .nomedia .volumeicon.icns desktop.ini ehthumbs.db "
    "ehthumbs_vista.db thumbs.db"
) | {"icon\r"}
_COMPANION_FOLDERS: Final = _set(
    "#recycle #snapshot $recycle.bin .@__thumb .appledouble .documentrevisions-v100 .fseventsd .spotlight-v100 "
    ".temporaryitems .trashes @eadir @recently-snapshot @recycle @sharebin @tmp __macosx lost+found recycled recycler"
) | {"network trash folder", "system volume information"}
_TEMPORARY: Final = re.compile(
    r"""
    .*~ | ~\$.* | ~.*\.tmp | ~syncthing~.* | \.syncthing\..* | \.~lock\..*
    | .*\.(?: part | partial | filepart | tmp | temp | crdownload | download | opdownload | aria2 | ytdl
        | !sync | !ut | !qb | bts | upload | uploading | incomplete | inprogress | unfinished | writing | swp | lck )
    | .*\.part[-.]?[a-z]*[0-9]+                                # a browser's or downloader's n-th piece
    | \.in\..* | \.pureftpd-upload\..*                         # FTP servers that write under another name
    | \..+\.[^.]+\.[a-z0-9]{6}                                 # rsync: .NAME.mp4.AbC123
    | \.nfs[0-9a-f]{8,} | \.fuse_hidden.* | \.goutputstream-.* | .*\.sb-[0-9a-f]{8}-[a-z0-9]{6}
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_RSYNC = re.compile(r"\..+(\.[^.]+)\.[A-Za-z0-9]{6}", re.DOTALL)
_PLAIN_ENDING = re.compile(r"\.(?=.*[a-z])[a-z0-9!$+_~-]{1,12}")
_FRAGMENT: Final = ".m4s"
_INIT = re.compile(r"(?:(.*)[-_.])?init(?:[-_.](.*))?\.(?:mp4|m4s)", re.IGNORECASE | re.DOTALL)


class Rule(StrEnum):
    """Why a file that was found is not a clip to be taken."""

    SIDECAR = "sidecar of a clip"
    INIT = "init segment of fragments"
    ORPHAN = "sidecar without a clip"
    HIDDEN = "hidden"
    COMPANION = "companion of a system"
    TEMPORARY = "temporary name"
    MARKER = "marker of a folder"
    LOOKS = "footage by its ending, not taken"
    FOREIGN = "other ending"
    LINK = "link to a folder"
    IRREGULAR = "not a regular file"
    UNREADABLE = "unreadable folder"

    @property
    def told(self) -> str:
        """What became of such a file, for people: a sidecar and an init segment are read with their clips."""
        return self.value if self in {Rule.SIDECAR, Rule.INIT} else f"left out: {self.value}"


class LeftOut:
    """What was found and is no clip to be taken: how many files, by rule and ending."""

    def __init__(self) -> None:
        self.files: Counter[tuple[Rule, str]] = Counter()

    def add(self, rule: Rule, name: str) -> None:
        """Count a file, or a folder of which nothing is known."""
        self.files[rule, _told_ending(rule, name)] += 1

    def take_back(self, rule: Rule, name: str) -> None:
        """Count a file no more: it is wanted after all."""
        self.files[rule, _told_ending(rule, name)] -= 1

    def add_all(self, rules: Mapping[str, Rule]) -> None:
        """Count files by their names."""
        for name, rule in rules.items():
            self.add(rule, name)

    @property
    def total(self) -> int:
        """How many files these are."""
        return self.files.total()

    @property
    def footage(self) -> int:
        """How many of them may hold footage that somebody expects to be taken in."""
        return sum(
            count
            for (rule, ending), count in self.files.items()
            if rule in {Rule.LOOKS, Rule.UNREADABLE} or (rule is Rule.IRREGULAR and ending in SUFFIXES)
        )

    def rows(self) -> list[tuple[Rule, str, int]]:
        """Return (rule, ending, files), by rule and the most files first."""
        order = list(Rule)
        found = ((rule, ending, count) for (rule, ending), count in self.files.items() if count)
        return sorted(found, key=lambda row: (order.index(row[0]), -row[2], row[1]))

    def document(self) -> list[dict[str, Any]]:
        """Return the rows, for --json."""
        return [{"rule": rule.value, "ending": ending, "files": count} for rule, ending, count in self.rows()]

    def __add__(self, other: LeftOut) -> LeftOut:
        both = LeftOut()
        both.files = self.files + other.files
        return both


@dataclass(frozen=True, slots=True)
class Pick:
    """A name of a folder that is a clip's: the names there of its sidecars and of its init segment, and its flaw."""

    sidecars: tuple[str, ...]
    init: str = ""
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class Picked:
    """The names of one folder told apart: clips, and the others with their rules."""

    clips: dict[str, Pick] = field(default_factory=dict)
    others: dict[str, Rule] = field(default_factory=dict)


def pick(names: Iterable[str]) -> Picked:
    """Tell the names of the files of one folder apart."""
    there, found = set(names), Picked()
    inits, fragments = [], []
    for name in there:
        rule = rule_of(name)
        if rule is not None:
            found.others.setdefault(name, rule)
        elif name[-4:].lower() not in {".mp4", _FRAGMENT}:
            found.clips[name] = _pick(name, there, found)
        elif _INIT.fullmatch(name):
            inits.append(name)
        elif name[-4:].lower() == _FRAGMENT:
            fragments.append(name)
        else:
            found.clips[name] = _pick(name, there, found)
    if not fragments:
        inits, fragments, films = [], [name for name in inits if name[-4:].lower() == _FRAGMENT], inits
        for name in films:
            if name not in fragments:
                found.clips[name] = _pick(name, there, found)
    found.others.update(dict.fromkeys(inits, Rule.INIT))
    for name in fragments:
        init, flaw = _init_of(name, inits)
        found.clips[name] = _pick(name, there, found, init=init, flaw=flaw)
    return found


def _pick(name: str, there: Container[str], found: Picked, *, init: str = "", flaw: str = "") -> Pick:
    sidecars = tuple(side for side in sidecar_names(name) if side in there)
    found.others.update(dict.fromkeys(sidecars, Rule.SIDECAR))
    return Pick(sidecars, init, flaw)


def _init_of(fragment: str, inits: Sequence[str]) -> tuple[str, str]:
    """Return the init segment that goes with a fragment, or why none does: the one whose name has most in common."""
    fitting: dict[int, list[str]] = defaultdict(list)
    for name in inits:
        told = _INIT.fullmatch(name)
        token = "".join(filter(None, told.groups())) if told else ""
        if not token or re.search(rf"(?<![a-z0-9]){re.escape(token)}(?![a-z0-9])", fragment, re.IGNORECASE):
            fitting[len(token)].append(name)
    if not fitting:
        return "", "a fragment without its init segment; put init.mp4 (or NAME_init.mp4) beside it, or remux the clip"
    first, *others = sorted(fitting[max(fitting)])
    if others:
        return "", f"a fragment, and {first} and {others[0]} could both be its init segment; leave one beside it"
    return first, ""


def rule_of(name: str) -> Rule | None:
    """Return the rule by which a file is left for its name alone; None for a clip. A sidecar is first an orphan."""
    ending, low = ending_of(name), name.lower()
    if ending in SUFFIXES and name[0] not in ".~":
        return None
    if low in _COMPANIONS or name.startswith("._") or "@syno" in low:
        return Rule.COMPANION
    if _TEMPORARY.fullmatch(name):
        return Rule.TEMPORARY
    if name.startswith("."):
        return Rule.HIDDEN
    return None if ending in SUFFIXES else _rule_of_ending(low, ending)


def _rule_of_ending(low: str, ending: str) -> Rule:
    if ending == ".json":
        return Rule.ORPHAN
    if ending.strip() in _FOOTAGE:
        return Rule.LOOKS
    endings = {f".{part.strip()}" for part in low.split(".")[1:]}
    return Rule.LOOKS if ending not in _ORDINARY and endings & (SUFFIXES | _FOOTAGE) else Rule.FOREIGN


def rule_of_folder(name: str) -> Rule | None:
    """Return the rule by which all that lies below a folder is left for its name; None for a folder to look into."""
    if name.lower() in _COMPANION_FOLDERS:
        return Rule.COMPANION
    # As part of a key "." and ".." are no names: what lies there is tried, and says itself why it cannot be had.
    return Rule.HIDDEN if name.startswith(".") and name not in {".", ".."} else None


def ending_of(name: str) -> str:
    """Return the ending of a file's name in lower case, with its dot; nothing where it has none."""
    dot = name.rfind(".")
    return name[dot:].lower() if 0 < dot < len(name) - 1 else ""


def _told_ending(rule: Rule, name: str) -> str:
    """Return the ending a file is counted under: names that others make up must not make a row each."""
    draft = _RSYNC.fullmatch(name) if rule is Rule.TEMPORARY else None
    ending = draft[1].lower() if draft else ending_of(name)
    if _PLAIN_ENDING.fullmatch(ending):
        return ending
    return "(other)" if ending else "(none)"
