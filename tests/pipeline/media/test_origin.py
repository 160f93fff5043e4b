import contextlib
import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ClipError, ConfigError
from pipeline.media.origin import Origin, PathTemplate, read_sidecar, sidecar_names
from pipeline.span import iso, parse_iso

DEFAULT = "{camera}/{start:%Y%m%dT%H%M%SZ}.mp4"


def at(text: str) -> int:
    return parse_iso(text)


@pytest.mark.parametrize(
    ("template", "path", "camera", "start"),
    [
        (DEFAULT, "cam-1/20260131T180000Z.mp4", "cam-1", "2026-01-31T18:00:00Z"),
        (DEFAULT, "/data/uploads/cam-1/20260131T180000Z.mp4", "cam-1", "2026-01-31T18:00:00Z"),
        (DEFAULT, "s3://bucket/prefix/cam-1/20260131T180000Z.mp4", "cam-1", "2026-01-31T18:00:00Z"),
        ("{camera}/{start}.mp4", "cam-1/20260131T180000Z.mp4", "cam-1", "2026-01-31T18:00:00Z"),
        ("{camera}_{start:epoch}.mkv", "a/front_door_1769882400.mkv", "front_door", "2026-01-31T18:00:00Z"),
        ("{camera}_{start:epoch_ms}.mkv", "front_1769882400250.mkv", "front", "2026-01-31T18:00:00.25Z"),
        ("{start:%Y-%m-%dT%H:%M:%S%z}_{camera}", "2026-01-31T19:00:00+01:00_c", "c", "2026-01-31T18:00:00Z"),
        ("{start:%Y-%m-%dT%H:%M:%S%z}_{camera}", "2026-01-31T18:00:00Z_c", "c", "2026-01-31T18:00:00Z"),
        ("{camera}/{start:%Y/%m/%d/%H.%M.%S}.avi", "x/c/2026/01/31/18.00.07.avi", "c", "2026-01-31T18:00:07Z"),
        ("{camera}-{start:%y%m%d%H%M%S%f}.ts", "c-260131180000123456.ts", "c", "2026-01-31T18:00:00.123456Z"),
        ("{camera}/{start:%Y%j}.mp4", "c/2026031.mp4", "c", "2026-01-31T00:00:00Z"),
        ("{camera}/{start:100%% %Y%m%d}.mp4", "c/100% 20260131.mp4", "c", "2026-01-31T00:00:00Z"),
        ("{any}/{camera}/{any}_{start:epoch}.{any}", "a/b/c/d_e_1769882400.tar.mp4", "c", "2026-01-31T18:00:00Z"),
        ("{camera}/{any}.mp4", "c/whatever is here.mp4", "c", None),
        ("{start:epoch}.mp4", "1769882400.mp4", None, "2026-01-31T18:00:00Z"),
        ("{camera}(1)+[x].mp4", "a.b(1)+[x].mp4", "a.b", None),
    ],
)
def test_a_template_reads_camera_and_start_out_of_a_path(
    template: str, path: str, camera: str | None, start: str | None
) -> None:
    assert PathTemplate(template).read(path) == Origin(camera, None if start is None else at(start))


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
    st.dates(date(1970, 1, 1), date(2261, 1, 1)),
    st.times(),
)
def test_every_camera_id_and_second_is_read_back(camera: str, day: date, hour: Any) -> None:
    path = f"some/where/{camera}/{day:%Y%m%d}T{hour:%H%M%S}Z.mp4"
    start = at(f"{day}T{hour:%H:%M:%S}Z")
    assert PathTemplate(DEFAULT).read(path) == Origin(camera, start)


@pytest.mark.parametrize(
    "template",
    [
        "",
        "clip.mp4",
        "{any}.mp4",
        "{kamera}/{start}.mp4",
        "{kamera}/{camera}/{start}.mp4",
        "{camera}/{start}.mp4{",
        "}{camera}/{start}.mp4",
        "{{camera}}/{start}.mp4",
        "{camera:%Y}/{start}.mp4",
        "{any:x}/{camera}.mp4",
        "{camera}/{start:}.mp4",
        "{camera}/{camera}.mp4",
        "{camera}/{start}/{start:epoch}.mp4",
        "{camera}/{start:%c}.mp4",
        "{camera}/{start:%p%Y%m%d}.mp4",
        "{camera}/{start:%-d%m%Y}.mp4",
        "{camera}/{start:%Y%m%d%}.mp4",
        "{camera}/{start:%H%M%S}.mp4",
        "{camera}/{start:%Y}.mp4",
        "{camera}/{start:%Y%m}.mp4",
        "{camera}/{start:%m%d}.mp4",
        "{camera}/{start:%Y%m%d%Y}.mp4",
        "{camera}/{start:%Y%y%m%d}.mp4",
        "{camera}/{start:epochs}.mp4",
        "{camera}/{start:epoch_us}.mp4",
        "{camera}/{start:now}.mp4",
    ],
)
def test_a_template_that_cannot_tell_is_refused_with_itself(template: str) -> None:
    with pytest.raises(ConfigError) as refused:
        PathTemplate(template)
    assert repr(template) in str(refused.value)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "20260131T180000Z.mp4",
        "cam-1/20260131T180000Z.mkv",
        "cam-1/20260131T180000Z.mp4.part",
        "cam-1/20260131T180000.mp4",
        "cam-1/2026131T180000Z.mp4",
        "cam-1/x20260131T180000Z.mp4",
        "cam-1/20260131T180000Z.mp4\n",
        "cam-1\\20260131T180000Z.mp4",
    ],
)
def test_a_path_that_does_not_fit_is_refused_by_name(path: str) -> None:
    with pytest.raises(ClipError, match="does not fit the template") as refused:
        PathTemplate(DEFAULT).read(path)
    assert refused.value.station == "name"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%Y%m%dT%H%M%SZ", "20260231T180000Z"),
        ("%Y%m%dT%H%M%SZ", "20261331T180000Z"),
        ("%Y%m%dT%H%M%SZ", "20260131T250000Z"),
        ("%Y%m%dT%H%M%SZ", "20260131T180061Z"),
        ("%Y%m%dT%H%M%SZ", "00000131T180000Z"),
        ("%Y%m%dT%H%M%SZ", "19691231T235959Z"),
        ("%Y%m%dT%H%M%SZ", "24000101T000000Z"),
        ("%Y%m%d%z", "20260131+99:00"),
        ("%Y%m%d%z", "19700101+01:00"),
        ("%Y%j", "2026366"),
        ("%Y%j", "2026000"),
        ("epoch", "9999999999999999"),
    ],
)
def test_a_start_that_is_no_time_is_refused_by_name(form: str, text: str) -> None:
    with pytest.raises(ClipError, match="cannot be read as") as refused:
        PathTemplate(f"{{camera}}/{{start:{form}}}.mp4").read(f"cam-1/{text}.mp4")
    assert refused.value.station == "name"
    assert repr(text) in refused.value.reason


@pytest.mark.parametrize(
    "camera", ["..", ".", ".hidden", "-x", "a b", "käfer", "a%2e", "~", "a\0b", "x" * 65, "a:b", "$(x)"]
)
def test_a_camera_name_that_is_no_id_is_refused_by_name(camera: str) -> None:
    with pytest.raises(ClipError, match="a camera id is") as refused:
        PathTemplate(DEFAULT).read(f"{camera}/20260131T180000Z.mp4")
    assert refused.value.station == "name"


def test_a_path_that_climbs_names_no_camera_but_the_last_folder() -> None:
    assert PathTemplate(DEFAULT).read("../../etc/cam-1/20260131T180000Z.mp4").camera == "cam-1"


@given(st.text(max_size=40))
def test_any_path_is_read_or_refused(path: str) -> None:
    for template in ("{camera}/{start:epoch}.mp4", "{any}{camera}_{start:%Y%m%d}{any}"):
        with contextlib.suppress(ClipError):
            PathTemplate(template).read(path)


@given(st.text("{}:%camerstnyYmdHj/._", max_size=30))
def test_any_template_is_read_or_refused(template: str) -> None:
    with contextlib.suppress(ConfigError, ClipError):
        PathTemplate(template).read("a/b.mp4")


@pytest.mark.parametrize(
    ("document", "origin"),
    [
        ({"camera": "cam-1", "start": "2026-01-31T18:00:00Z"}, Origin("cam-1", at("2026-01-31T18:00:00Z"))),
        ({"start": "2026-01-31T19:00:00.5+01:00"}, Origin(None, at("2026-01-31T18:00:00.5Z"))),
        ({"camera": "cam-1"}, Origin("cam-1", None)),
        ({"camera": None, "start": None}, Origin()),
        ({"camera": 7}, Origin("7", None)),
        ({}, Origin()),
    ],
)
def test_a_sidecar_says_camera_and_start_or_either(document: Any, origin: Origin) -> None:
    assert read_sidecar(json.dumps(document).encode()) == origin
    assert read_sidecar(b"\xef\xbb\xbf" + json.dumps(document).encode()) == origin


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "got list"),
        (b'"cam-1"', "got str"),
        (b"null", "got NoneType"),
        (b'{"camera": "a", "begin": 1, "Start": 2}', "got also Start, begin"),
        (b'{"start": "2026-01-31T18:00:00"}', "wanted a time such as"),
        (b'{"start": 1769882400}', "wanted a time such as"),
        (b'{"start": "1904-01-01T00:00:00Z"}', "between 1970 and 2262"),
        (b'{"start": ""}', "wanted a time such as"),
        (b'{"camera": "a b"}', "a camera id is"),
        (b'{"camera": ""}', "a camera id is"),
        (b'{"camera": ["a"]}', "a camera id is"),
    ],
)
def test_any_other_sidecar_is_refused_as_a_sidecar(data: bytes, said: str) -> None:
    with pytest.raises(ClipError) as refused:
        read_sidecar(data)
    assert refused.value.station == "sidecar"
    assert said in refused.value.reason


def test_an_origin_is_read_to_the_nanosecond() -> None:
    start = read_sidecar(b'{"start": "2026-01-31T18:00:00.123456789Z"}').start_ns
    assert start is not None
    assert iso(start) == "2026-01-31T18:00:00.123456789Z"


def test_a_sidecar_is_called_like_its_clip_with_or_without_its_suffix() -> None:
    assert sidecar_names("in/b.c/a.mp4") == ("in/b.c/a.mp4.json", "in/b.c/a.json")
    assert sidecar_names("a.B.MP4") == ("a.B.MP4.json", "a.B.json")
    assert sidecar_names("in/b.c/a") == ("in/b.c/a.json", "in/b.c/a.json")
