"""Where a file lies, as text and back."""

import pytest

from pipeline.errors import ConfigError
from storage.location import Location


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("in/ask-1/a.mp4", Location("in/ask-1/a.mp4")),
        ("/in/s3/a.mp4", Location("/in/s3/a.mp4")),
        ("s3://fleet/ask-1/a.mp4", Location("ask-1/a.mp4", "fleet")),
        ("s3://fleet/", Location("", "fleet")),
    ],
)
def test_a_location_is_read_back_from_its_text(text: str, location: Location) -> None:
    assert Location.parse(text) == location
    assert str(location) == text


def test_a_bucket_without_a_prefix_is_all_of_it() -> None:
    assert Location.parse("s3://fleet") == Location.parse("s3://fleet/")


@pytest.mark.parametrize(
    "text",
    [
        *("s3://", "s3:///a.mp4", "S3:///x", "s3://in/up", "s3://b/../x", "s3://../x", "s3://fleet/../x"),
        *("s3://fleet/a/./b", "s3://fleet/..", "s3://10.0.0.1/x", "s3://a..b/x", "s3://-fleet/x", "s3://fl eet/x"),
        *(f"s3://{'b' * 64}/x", "s3://fleet\n/x", "s3://fleet/\udcff.mp4"),
    ],
)
def test_an_address_that_can_be_none_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ConfigError, match="wanted s3://BUCKET or s3://BUCKET/PREFIX, got"):
        Location.parse(text)


@pytest.mark.parametrize(
    "key",
    ["a//b.mp4", "/a.mp4", "a.mp4/", "a\\b", "a\nb", ".trash/x.mp4", "..a/b", "k" * 1024, "%2e%2e/x", "é+'\"", "\0"],
)
def test_any_key_a_bucket_may_hold_is_a_location(key: str) -> None:
    assert Location.parse(f"s3://Old_Bucket/{key}") == Location(key, "Old_Bucket")
    assert str(Location(key, "Old_Bucket")) == f"s3://Old_Bucket/{key}"


@pytest.mark.parametrize("name", ["a", "a.", ".mp4", "a.mp4 ", "a.mp\n4", f"a.{'x' * 200}", "a.é", "a.\udcff"])
def test_a_suffix_is_a_plain_word_or_none(name: str) -> None:
    assert Location(f"in/{name}").suffix == ""


def test_name_and_suffix_are_those_of_the_last_part() -> None:
    for location in (Location("/in/b.c/A.MP4"), Location("b.c/A.MP4", "fleet")):
        assert (location.name, location.suffix) == ("A.MP4", ".mp4")
    assert Location("/in/b.c/a").suffix == ""
