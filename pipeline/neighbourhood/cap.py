"""Notices as the Common Alerting Protocol says them (OASIS CAP 1.2, 2010), and those of others read, by defusedxml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from xml.etree import ElementTree as ET

from pipeline.errors import RequestRefused
from pipeline.neighbourhood.notice import Category, Certainty, Message, Notice, Severity, Urgency
from pipeline.neighbourhood.places import Rings
from pipeline.people import Agency
from pipeline.span import NS, parse_iso

SPACE: Final = "urn:oasis:names:tc:emergency:cap:1.2"
MOST_BYTES: Final = 1_000_000
"""The largest document of others that is read."""

_EVENT: Final = "Safety notice"


def sender(agency: Agency) -> str:
    """Return what CAP calls the sender: unlike any other's, by the agency's own domain where it has one."""
    return f"{agency.id}@{agency.domain or 'lamplighter.invalid'}"


def sent(t_ns: int) -> str:
    """Return an instant as CAP wants it: to the second, with an offset, and never with a Z."""
    return datetime.fromtimestamp(t_ns // NS, UTC).strftime("%Y-%m-%dT%H:%M:%S-00:00")


def document(notice: Notice, agency: Agency, *, before: Sequence[Notice] = ()) -> bytes:
    """Return a message of a notice as a CAP 1.2 document, UTF-8; `before` are the messages that it follows.

    What leaves is what `Notice.told` lists, and the names of messages.
    """
    ET.register_namespace("", SPACE)
    alert = ET.Element(f"{{{SPACE}}}alert")
    _say(alert, "identifier", notice.id)
    _say(alert, "sender", sender(agency))
    _say(alert, "sent", sent(notice.made_ns))
    _say(alert, "status", "Actual")
    _say(alert, "msgType", notice.message.value)
    _say(alert, "scope", "Public")
    if before:
        _say(alert, "references", " ".join(f"{sender(agency)},{one.id},{sent(one.made_ns)}" for one in before))
    _say(alert, "incidents", notice.notice)
    info = ET.SubElement(alert, f"{{{SPACE}}}info")
    _say(info, "language", "en")
    _say(info, "category", notice.category.value)
    _say(info, "event", _EVENT)
    _say(info, "urgency", notice.urgency.value)
    _say(info, "severity", notice.severity.value)
    _say(info, "certainty", notice.certainty.value)
    _say(info, "expires", sent(notice.expires_ns))
    _say(info, "senderName", agency.name)
    _say(info, "headline", notice.headline)
    _say(info, "description", notice.text)
    _say(info, "contact", agency.contact)
    area = ET.SubElement(info, f"{{{SPACE}}}area")
    _say(area, "areaDesc", "The area drawn, and every cell of the map that it touches")
    # CAP knows no holes: whoever is in one is told as well.
    _say(area, "polygon", " ".join(f"{lat:.3f},{lon:.3f}" for lon, lat in notice.rings[0]))
    return bytes(ET.tostring(alert, encoding="utf-8", xml_declaration=True))


def _say(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, f"{{{SPACE}}}{name}").text = "".join(char for char in text if char >= " " or char in "\n\t")


@dataclass(frozen=True, slots=True)
class Heard:
    """What a CAP document of somebody else says: its first block of information and the first polygon in it."""

    identifier: str
    sender: str
    message: Message
    headline: str
    text: str
    category: Category
    urgency: Urgency
    severity: Severity
    certainty: Certainty
    rings: Rings
    expires_ns: int | None


def heard(data: bytes) -> Heard:
    """Read a CAP 1.2 document of others. Raises RequestRefused("cap", ...) for what is none, or is made to do harm."""
    if len(data) > MOST_BYTES:
        raise RequestRefused("cap", f"at most {MOST_BYTES:,} bytes are read, got {len(data):,}")
    from defusedxml import DefusedXmlException  # noqa: PLC0415 - of all that write notices, few read others'
    from defusedxml.ElementTree import fromstring  # noqa: PLC0415

    try:
        alert = fromstring(data, forbid_dtd=True)
    except DefusedXmlException:
        raise RequestRefused("cap", "the document declares entities or a DTD, which no notice needs") from None
    except (ET.ParseError, ValueError, LookupError, RecursionError) as error:
        raise RequestRefused("cap", f"wanted XML, got something else ({type(error).__name__})") from None
    if alert.tag != f"{{{SPACE}}}alert":
        raise RequestRefused("cap", f"wanted an alert of {SPACE}, got another element; CAP 1.0 and 1.1 are not read")
    info = alert.find(f"{{{SPACE}}}info")
    if info is None:
        raise RequestRefused("cap", "the document has no block of information (info)")
    polygon = _text(info.find(f"{{{SPACE}}}area"), "polygon")
    expires = _text(info, "expires")
    try:
        return Heard(
            _text(alert, "identifier"), _text(alert, "sender"), Message(_text(alert, "msgType")),
            _text(info, "headline") or _text(info, "event"),
            _text(info, "description") or _text(info, "headline") or _text(info, "event"),
            _category(_text(info, "category")), Urgency(_text(info, "urgency")), Severity(_text(info, "severity")),
            Certainty(_text(info, "certainty")), _rings(polygon), parse_iso(expires) if expires else None,
        )  # fmt: skip
    except ValueError as error:
        raise RequestRefused("cap", f"the document is not as CAP 1.2 says: {error}") from None


def _text(parent: ET.Element | None, name: str) -> str:
    found = None if parent is None else parent.find(f"{{{SPACE}}}{name}")
    return "" if found is None or found.text is None else found.text.strip()


def _category(word: str) -> Category:
    known = {one.value for one in Category}
    return Category(word) if word in known else Category.OTHER


def _rings(text: str) -> Rings:
    if not text:
        raise ValueError("its area has no polygon; circles and codes are not read")
    points = []
    for pair in text.split():
        lat, comma, lon = pair.partition(",")
        if not comma:
            raise ValueError("a polygon is pairs LAT,LON apart by spaces")
        points.append((float(lon), float(lat)))
    return (tuple(points),)
