"""docs/reference/bucket.md is the format's specification: what is written is what it says."""

import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import pytest

from samples import DOCUMENTS, case_key, clip, delivery, request
from storage.archive import Archive
from storage.directory import DirectoryStore
from storage.shelf import SCHEMA, Shelf

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "bucket.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `(\w+)/([^\n]*\n.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
"""What the page says of each kind of document, by the prefix of its keys."""
_LISTS: dict[type, str] = {str: "text", int: "integers", list: "lists", dict: "objects"}
_TYPES: dict[type, str] = {str: "text", int: "integer", float: "number", bool: "boolean", dict: "object"}
_TYPES |= {type(None): "null"}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    store = DirectoryStore(tmp_path / "store")
    store.ensure_bucket()
    return Archive(store)


def specified(prefix: str) -> dict[str, str]:
    """Return the fields of a kind of document with their types."""
    return dict(re.findall(r"^\| `([\w.]+)` \| ([^|]+?) \|", SECTIONS[prefix], re.MULTILINE))


def written(fields: dict[str, Any], inside: str = "") -> dict[str, str]:
    """Return the fields of a document with their types, those of objects inside it by dotted names."""
    found: dict[str, str] = {}
    for name, value in fields.items():
        dotted = f"{inside}{name}"
        if isinstance(value, list):
            found[dotted] = f"list of {_LISTS[type(value[0])] if value else 'nothing'}"
            for one in value:
                found = (written(one, f"{dotted}.") if isinstance(one, dict) else {}) | found
        else:
            found[dotted] = _TYPES[type(value)]
        if isinstance(value, dict):
            found |= written(value, f"{dotted}.")
    return found


def test_every_kind_of_document_has_its_section(archive: Archive) -> None:
    assert {shelf.prefix for shelf in archive.shelves} == set(SECTIONS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_what_the_page_says(archive: Archive, name: str) -> None:
    shelf: Shelf[Any] = getattr(archive, name)
    fields = json.loads(shelf.dump(DOCUMENTS[name][0]))
    assert f"Schema {fields.pop(SCHEMA)}" in SECTIONS[shelf.prefix]
    wanted, got = specified(shelf.prefix), written(fields)
    if shelf.prefix in {"deliveries", "prepared"}:  # its record is specified once, under cases/
        wanted |= {f"record.{field}": kind for field, kind in specified("cases").items()}
    assert set(wanted) == set(got)
    for field, kind in got.items():
        kinds = wanted[field].split(" or ")
        assert kind in kinds or (kind == "list of nothing" and kinds[0].startswith("list of ")), field


def test_keys_are_made_as_the_page_says(archive: Archive) -> None:
    """Each placeholder of the page stands for one name of the key."""
    forms = {"OWNER": r"olga|owner-1", "CAMERA": "cam-1", "REQUEST": r"r[0-9a-f]{32}", "SEQ": r"\d{12}"}
    forms |= {"AGENCY": "town", "PERSON": "otto", "ORDER": "o1", "STEP": r"\d{4}", "LETTER": "ordered-o1"}
    forms["RUN"] = r"[0-9a-f]{16}"
    forms |= {"ID": r"[0-9a-f]{32}", "QUARTER": r"\d{4}-Q[1-4]"}
    forms |= dict.fromkeys(("MARK", "CUT", "KEY", "PACKAGE"), r"[0-9a-f]{20}")
    forms["CLIP"] = r"cam-1/\d{8}T\d{6}\.\d{9}Z-[0-9a-f]{20}"
    forms["DRAFT"] = r"[0-9a-f]{32}"
    forms |= dict.fromkeys(("NOTICE", "POST", "THREAD"), r"[0-9a-f]{32}")
    forms |= {"AUDIENCE": "neighbours|agencies", "INCIDENT": r"[0-9a-f]{32}"}
    forms["OWNER"] += "|piet"
    forms["WAY"] = r"mail|mqtt|webhook"
    forms["DAY"] = r"\d{8}"
    forms["LOG"] = r"open|kept"
    forms["TIME"] = r"\d{8}T\d{6}\.\d{9}Z"
    forms["LEARNT"] = r"\d{8}T\d{6}\.\d{9}Z-[0-9a-f]{20}"
    for name, (document, _) in DOCUMENTS.items():
        shelf: Shelf[Any] = getattr(archive, name)
        shelf.put(document)
        (called,) = shelf.names()
        pattern = SECTIONS[shelf.prefix].partition("`")[0].removesuffix(".json")
        parts = {"NAME": r"[0-9a-f]{32}" if shelf.prefix in {"cases", "usage"} else r"[0-9a-f]{20}"} | forms
        expected = "/".join(f"(?:{parts[part]})" for part in pattern.split("/"))
        assert re.fullmatch(expected, called), (name, pattern, called)


def test_the_formula_of_a_links_secret_is_that_of_the_page() -> None:
    key, of = case_key(request()), request()
    said = f"link\0{of.id}\0olga\0" + "2"
    assert key.token("olga", 2) == hmac.new(bytes.fromhex(key.secret), said.encode(), hashlib.sha256).hexdigest()


def test_the_formulas_of_names_are_those_of_the_page() -> None:
    one, key, of = delivery(request()), case_key(request()), request()
    bits = bytes.fromhex(key.secret)
    name = hmac.new(bits, f"name\0{of.id}\0{one.cut}".encode(), hashlib.sha256).hexdigest()[:32]
    salt = hmac.new(bits, f"salt\0{of.id}\0{one.cut}".encode(), hashlib.sha256).hexdigest()
    assert (one.record.name, one.salt) == (name, salt)
    both = bytes.fromhex(salt) + bytes.fromhex(one.source_sha256)
    assert one.record.source_commitment == hashlib.sha256(both).hexdigest()
    taken = clip()
    text = f"{taken.camera}\0{taken.start_ns}\0{taken.sha256}".encode()
    assert taken.id == hashlib.sha256(text).hexdigest()[:20]
