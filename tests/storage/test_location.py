"""Where a file lies, as text and back."""

import pytest

from pipeline.errors import ConfigError
from storage.location import Location


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("in/ask-1/a.mp4", Location("in/ask-1/a.mp4")),
        ("/in/s3/a.mp4", Location("/in/s3/a.mp4")),
        ("s3://up/ask-1/a.mp4", Location("ask-1/a.mp4", "up")),
        ("s3://up/", Location("", "up")),
    ],
)
def test_a_location_is_read_back_from_its_text(text: str, location: Location) -> None:
    assert Location.parse(text) == location
    assert str(location) == text


def test_a_bucket_without_a_prefix_is_all_of_it() -> None:
    assert Location.parse("s3://up") == Location.parse("s3://up/")


@pytest.mark.parametrize("text", ["s3://", "s3:///a.mp4"])
def test_a_bucket_without_a_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="wanted s3://BUCKET"):
        Location.parse(text)


def test_name_and_suffix_are_those_of_the_last_part() -> None:
    for location in (Location("/in/b.c/A.MP4"), Location("b.c/A.MP4", "up")):
        assert (location.name, location.suffix) == ("A.MP4", ".mp4")
    assert Location("/in/b.c/a").suffix == ""
