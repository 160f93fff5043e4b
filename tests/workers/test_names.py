"""Which names are clips', and by which rule the others are left: the same whatever way a file comes in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.names import SUFFIXES, LeftOut, Rule, ending_of, pick, rule_of, rule_of_folder

TAKEN = "mp4 m4v mov mkv webm avi ts mts m2ts mpg mpeg 3gp flv "
TAKEN += "asf wmv ps vob m2v m2p mjpeg mjpg ogv ivf h264 264 avc hevc 265 h265 dav m4s"


@pytest.mark.parametrize("ending", TAKEN.split())
def test_an_ending_that_is_taken_is_taken_in_any_case(ending: str) -> None:
    for name in (
        f"clip.{ending}",
        f"CLIP.{ending.upper()}",
        f"a b.c.{ending.title()}",
        f"-x~1.{ending}",
        f"é\n.{ending}",
    ):
        assert rule_of(name) is None, name


def test_all_that_is_taken_was_tried() -> None:
    assert {f".{ending}" for ending in TAKEN.split()} == SUFFIXES


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        (Rule.COMPANION, ["._clip.mp4", "._x", ".DS_Store", "Thumbs.db", "THUMBS.DB", "ehthumbs.db", "desktop.ini"]),
        (Rule.COMPANION, ["Desktop.ini", "Icon\r", ".localized", "clip.mp4@SynoEAStream", ".apdisk"]),
        (Rule.TEMPORARY, ["clip.mp4.part", "clip.part", "clip.mp4.PART", "clip.mp4.tmp", "x.filepart", "x.crdownload"]),
        (Rule.TEMPORARY, ["x.mp4.partial", "x.mp4.!sync", "x.mp4.!ut", "x.mp4.!qB", "x.mp4~", "~$x.mp4"]),
        (Rule.TEMPORARY, ["x.uploading", "x.mp4.aria2", "x.mp4.part-Frag3", "x.mp4.part12"]),
        (Rule.TEMPORARY, [".clip.mp4.Ab3dE9", ".in.clip.mp4", ".in.clip.mp4.", ".pureftpd-upload.5a.15.mp4"]),
        (Rule.TEMPORARY, [".syncthing.clip.mp4.tmp", "~syncthing~clip.mp4.tmp"]),
        (Rule.TEMPORARY, [".goutputstream-ABC123", ".nfs0000000000a1b2c3", ".fuse_hidden00001", ".clip.mp4.part"]),
        (Rule.HIDDEN, [".clip.mp4", ".mp4", ".hidden", ".x.txt", "..mp4", "...", ".clip.json"]),
        (Rule.ORPHAN, ["clip.json", "clip.mp4.json", "CLIP.JSON"]),
        (Rule.LOOKS, ["x.rm", "x.dvr-ms", "x.MXF", "x.insv", "x.mp4.old", "x.mp4.1", "x.mp4 ", "x.mkv.gz"]),
        (Rule.FOREIGN, ["x.txt", "x.jpg", "x.mp4.txt", "x.mp4.md5", "x.mp4.jpg", "README", "x.", "mp4", "x.zip"]),
    ],
)  # fmt: skip
def test_a_name_is_left_by_its_rule(rule: Rule, names: list[str]) -> None:
    assert {name: rule_of(name) for name in names} == dict.fromkeys(names, rule)


def test_folders_of_systems_and_hidden_ones_are_left() -> None:
    for name in (
        "@eaDir",
        "__MACOSX",
        "#recycle",
        "lost+found",
        "$RECYCLE.BIN",
        "System Volume Information",
        ".Trashes",
    ):
        assert rule_of_folder(name) is Rule.COMPANION
    for name in (".trash", ".sync", ".git", "...", "..x"):
        assert rule_of_folder(name) is Rule.HIDDEN
    for name in ("up", "clip.mp4", "2026-01-31", "a.b", "trash", "é\n", ".", ".."):
        assert rule_of_folder(name) is None


NAMES = st.lists(
    st.one_of(
        st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=20),
        st.builds(
            lambda a, b, c: a + b + c,
            st.sampled_from(["", ".", "._", "~$", "init", "a_init", "seg1", "clip", ".in."]),
            st.sampled_from([".mp4", ".m4s", ".dav", ".rm", ".txt", "x", ""]),
            st.sampled_from(["", ".json", ".part", "~", ".AbC123"]),
        ).filter(bool),
    ),
    max_size=12,
)


@given(NAMES)
def test_every_name_of_a_folder_is_a_clip_or_left_by_one_rule(names: list[str]) -> None:
    picked = pick(names)
    assert sorted([*picked.clips, *picked.others]) == sorted(set(names))
    for name, of in picked.clips.items():
        assert ending_of(name) in SUFFIXES
        assert {picked.others[side] for side in of.sidecars} <= {Rule.SIDECAR}
        assert not of.init or picked.others[of.init] is Rule.INIT
        assert not (of.init and of.flaw)


def test_a_sidecar_is_that_of_a_clip_that_is_there() -> None:
    picked = pick(["a.mp4", "a.json", "b.mp4", "b.mp4.json", "c.json", ".d.mp4", ".d.mp4.json", "e.txt", "e.txt.json"])
    assert {name: of.sidecars for name, of in picked.clips.items()} == {"a.mp4": ("a.json",), "b.mp4": ("b.mp4.json",)}
    assert {name for name, rule in picked.others.items() if rule is Rule.ORPHAN} == {"c.json", "e.txt.json"}


@pytest.mark.parametrize(
    ("fragment", "beside", "init"),
    [
        ("seg1.m4s", ["init.mp4"], "init.mp4"),
        ("seg1.M4S", ["INIT.MP4", "other.mp4"], "INIT.MP4"),
        ("seg1.m4s", ["init.m4s"], "init.m4s"),
        ("video_7.m4s", ["video_init.mp4", "audio_init.mp4"], "video_init.mp4"),
        ("chunk-stream0-00001.m4s", ["init-stream0.m4s", "init-stream1.m4s"], "init-stream0.m4s"),
        ("chunk-stream10-00001.m4s", ["init-stream1.m4s", "init-stream10.m4s"], "init-stream10.m4s"),
        ("video_7.m4s", ["video_init.mp4", "init.mp4"], "video_init.mp4"),
    ],
)
def test_a_fragment_follows_the_init_segment_whose_name_fits(fragment: str, beside: list[str], init: str) -> None:
    picked = pick([fragment, *beside])
    assert (picked.clips[fragment].init, picked.clips[fragment].flaw) == (init, "")
    assert picked.others[init] is Rule.INIT


@pytest.mark.parametrize(
    ("beside", "why"),
    [
        ([], "without its init segment"),
        (["clip.mp4"], "without its init segment"),
        (["audio_init.mp4"], "without its init segment"),
        (["init.mp4", "init.m4s"], "could both be"),
    ],
)
def test_a_fragment_of_which_it_cannot_be_told_says_so(beside: list[str], why: str) -> None:
    assert why in pick(["video_1.m4s", *beside]).clips["video_1.m4s"].flaw


def test_what_is_called_init_is_a_clip_where_there_is_no_fragment() -> None:
    assert set(pick(["init.mp4", "front_init.mp4"]).clips) == {"init.mp4", "front_init.mp4"}
    assert "without its init" in pick(["init.m4s"]).clips["init.m4s"].flaw


def test_what_is_left_out_is_counted_by_rule_and_ending_and_sums_up() -> None:
    left = LeftOut()
    for rule, name in [
        (Rule.LOOKS, "a.RM"),
        (Rule.LOOKS, "b.rm"),
        (Rule.FOREIGN, "c"),
        (Rule.TEMPORARY, ".c.mp4.AbC123"),
    ]:
        left.add(rule, name)
    left.add_all({f"x.{number}": Rule.FOREIGN for number in range(500)})  # made-up endings make no row each
    left.add(Rule.FOREIGN, "x.\x1b[31m")
    assert left.rows() == [
        (Rule.TEMPORARY, ".mp4", 1),
        (Rule.LOOKS, ".rm", 2),
        (Rule.FOREIGN, "(other)", 501),
        (Rule.FOREIGN, "(none)", 1),
    ]
    assert left.total == sum(count for _, _, count in left.rows()) == 505
    assert (left + left).total == 1010
    assert left.document()[1] == {"rule": Rule.LOOKS.value, "ending": ".rm", "files": 2}


def test_what_may_hold_footage_is_told_from_what_does_not() -> None:
    left = LeftOut()
    for rule, name in [
        (Rule.HIDDEN, ".a.mp4"),
        (Rule.TEMPORARY, "a.mp4.part"),
        (Rule.FOREIGN, "a.txt"),
        (Rule.LINK, "a"),
    ]:
        left.add(rule, name)
    left.add_all({"pipe": Rule.IRREGULAR, "a.txt": Rule.FOREIGN})
    assert left.footage == 0
    for rule, name in [(Rule.LOOKS, "a.rm"), (Rule.UNREADABLE, ""), (Rule.IRREGULAR, "link.mp4")]:
        left.add(rule, name)
    assert left.footage == 3
