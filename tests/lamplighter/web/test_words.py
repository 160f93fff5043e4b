"""The words of the pages: every one is said in each language, nobody's are left over, and the right ones are chosen."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from jinja2 import Environment
from starlette.requests import Request
from starlette.testclient import TestClient

import lamplighter.web
import pipeline
from lamplighter.desk.desk import open_desk
from lamplighter.report.lives import order_state
from lamplighter.report.transparency import maps
from lamplighter.web.app import make_app
from lamplighter.web.review import GROUPS
from lamplighter.web.welcome import DOES
from lamplighter.web.words import LANGUAGES, language_of, words
from pipeline.actor import Role
from pipeline.case.consent import Standing
from pipeline.case.life import CHECKLIST, Act, State
from pipeline.case.marks import Kind
from pipeline.case.order import Basis, Order
from pipeline.case.released import Covered
from pipeline.case.usage import Use
from pipeline.case.view import Stage
from pipeline.clip import Disclosure, Sharing
from pipeline.detection.gates import Detection
from pipeline.evidence.keys import Purpose
from pipeline.neighbourhood.alert import Dropped, Way
from pipeline.neighbourhood.notice import Category, Certainty, Severity, Urgency
from pipeline.neighbourhood.posts import Topic, Verdict, Why
from pipeline.span import NS, Span
from web_fixtures import settings_of

WEB = Path(lamplighter.web.__file__).parent
TEMPLATES = sorted((WEB / "templates").glob("*.html"))
OTHERS = sorted(set(LANGUAGES) - {"en"})
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2)}
# As lamplighter.web.render reads templates.
RENDERED = {"trim_blocks": "true", "lstrip_blocks": "true", "newstyle_gettext": "true", "silent": "false"}
# Whose values templates show by `said`.
KINDS = (
    *(Role, State, Act, Basis, Purpose, Kind, Stage, Standing, Sharing, Disclosure, Covered, Use),
    *(Topic, Verdict, Why, Category, Urgency, Severity, Certainty, Way, Dropped),
)
NOT_PAGES = {"api.py", "guard.py"}  # what they say is for programs, and before any page
PLACE = re.compile(r"%\((\w+)\)\w")

Said = str | tuple[str, str]  # one with a plural is two


def said_by(path: Path) -> Iterator[Said]:
    """What a template or a module marks as words of a page."""
    with path.open("rb") as file:
        how, options = ("jinja2", RENDERED) if path.suffix == ".html" else ("python", {})
        for _, message, _, _ in extract(how, file, KEYWORDS, (), options):
            yield message if isinstance(message, str) else (message[0], message[1])


@cache
def marked() -> dict[Said, str]:
    """All that is marked, each with a place where it is."""
    return {said: path.name for path in (*TEMPLATES, *sorted(WEB.glob("*.py"))) for said in said_by(path)}


@cache
def catalogues(language: str) -> dict[str, list[Message]]:
    """The catalogues of a language by their names, without their headers."""
    found = {}
    for path in sorted((WEB / "locale" / language).glob("*.po")):
        with path.open("rb") as file:
            found[path.name] = [message for message in read_po(file, locale=language) if message.id]
    return found


def key(message: Message) -> Said:
    return message.id if isinstance(message.id, str) else (message.id[0], message.id[1])


@cache
def known(language: str) -> dict[Said, list[str]]:
    """What a language says of each: one text, or one a plural form."""
    return {
        key(message): [message.string] if isinstance(message.string, str) else list(message.string or ())
        for messages in catalogues(language).values()
        for message in messages
    }


@cache
def literals(path: Path) -> frozenset[str]:
    """The texts of a module but for what tells of it: docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return frozenset(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told
    )


def in_templates() -> set[str]:
    """The texts in the templates' expressions."""
    lexed = (token for path in TEMPLATES for token in Environment(autoescape=True).lex(path.read_text("utf-8")))
    return {ast.literal_eval(value) for _, kind, value in lexed if kind == "string"}


def states() -> set[str]:
    """The words of templates that `parts.state` shows."""
    return {
        text
        for path in TEMPLATES
        for call in re.findall(r"parts\.state\(([^_\n]*?)\)", path.read_text("utf-8"))
        for text in re.findall(r'(?:^|else )"([^"]+)"', call)
    }


def order(**values: object) -> Order:
    return Order(
        *("order-1", "request-1", Basis.EMERGENCY, "a fire in the house", ("door",), Span(0, NS), "mo", 1),
        **values,  # type: ignore[arg-type]
    )


def handed() -> set[str]:
    """Words the code holds, which templates show by `said`."""
    agencies = [{"place": "US-CA"}, {"place": "250"}, {"place": ""}]
    approved = {"approved_by": "ada", "approved_ns": 2}
    return {
        *(str(one) for kind in KINDS for one in kind),
        *(order_state(order()), order_state(order(**approved)), order_state(order(withdrawn_by="mo", withdrawn_ns=3))),
        *(one["label"] for one in maps(agencies)),
        *(text for one in maps(agencies) for shade, text in one["shades"] if shade > 1),
        *(name for name, _ in GROUPS),
        *CHECKLIST,
        *DOES.values(),
        *(str(one.description) for one in Detection.model_fields.values()),
        *states(),
        "No place is known",
    }


def sentences() -> set[str]:
    """Whole sentences of the modules of pages: they are shown to somebody."""
    modules = (path for path in sorted(WEB.glob("*.py")) if path.name not in NOT_PAGES)
    return {
        text for path in modules for text in literals(path) if re.fullmatch(r"[A-Z][^\n]* [^\n]*[.!?]", text, re.ASCII)
    }


@pytest.mark.parametrize("language", OTHERS)
def test_all_that_pages_say_is_said_in_each_language(language: str) -> None:
    said = known(language)
    assert len(marked()) > 400, "the extractor found the words of the pages"
    missing = [f"{place}: {one}" for one, place in marked().items() if not all(said.get(one, [""]))]
    assert missing == []


def bare(path: Path) -> set[str]:
    """The words of a template that stand outside of its expressions, and those of attributes that are read out."""
    lexed = Environment(autoescape=True).lex(path.read_text("utf-8"))
    text = "".join(value if kind == "data" else "|" * (kind == "variable_begin") for _, kind, value in lexed)
    text = re.sub(r"<(pre|code)\b.*?</\1>|<!doctype html>", " ", text, flags=re.DOTALL)
    read_out = re.findall(r"""\b(?:aria-label|alt|title|placeholder|data-label)=["']([^"']*)["']""", text)
    return {word for one in (re.sub(r"<[^>]*>", " ", text), *read_out) for word in re.findall(r"[A-Za-z][\w.-]+", one)}


def test_no_template_says_anything_by_itself() -> None:
    names = {"Lamplighter", "SHA-256", "figures.json", "min", "ms", "ha", "kB", "MB", "GB", "m²", "km²", "wide"}
    in_tags = {"aria-invalid", "aria-describedby", "true"}  # of a macro that is put into a tag
    found = {path.name: left for path in TEMPLATES if (left := bare(path) - names - in_tags)}
    assert found == {}


@pytest.mark.parametrize("language", OTHERS)
def test_words_that_the_code_holds_are_said_in_each_language(language: str) -> None:
    assert {"in force", "retired", "held", "waits for a reviewer"} <= states()
    assert len(sentences()) > 20
    said = known(language)
    assert sorted(one for one in handed() | sentences() if not all(said.get(one, [""]))) == []


@pytest.mark.parametrize("language", OTHERS)
def test_no_catalogue_holds_what_nobody_says(language: str) -> None:
    modules = [path for at in (WEB.parent, Path(pipeline.__file__).parent) for path in at.rglob("*.py")]
    code = {text for path in modules for text in literals(path)}
    used = {*marked(), *handed(), *in_templates(), *code, *(text.partition(": ")[2] for text in code)}
    assert sorted(str(one) for one in known(language) if one not in used) == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_text_has_one_translation_over_all_catalogues(language: str) -> None:
    first: dict[str, tuple[str, object]] = {}
    twice = []
    for name, messages in catalogues(language).items():
        for message in messages:
            text = message.id if isinstance(message.id, str) else message.id[0]
            place, string = first.setdefault(text, (name, message.string))
            if string != message.string:
                twice.append(f"{text}: {place} says {string}, {name} says {message.string}")
    assert twice == []


@pytest.mark.parametrize("language", OTHERS)
def test_translations_have_the_places_of_what_they_translate(language: str) -> None:
    wrong = []
    for said, strings in known(language).items():
        wanted = set(PLACE.findall(said if isinstance(said, str) else said[0] + said[1]))
        for string in strings:
            missing = wanted - set(PLACE.findall(string))
            # One thing may be told without its number.
            if (missing and (isinstance(said, str) or missing != {"num"})) or set(PLACE.findall(string)) - wanted:
                wrong.append(f"{said}: {string}")
            if "%" in PLACE.sub("", string) and wanted:
                wrong.append(f"{said}: {string}")
    assert wrong == []


@pytest.mark.parametrize("language", OTHERS)
def test_every_catalogue_knows_its_language_and_its_plurals(language: str) -> None:
    plural = "(n > 1)" if language == "fr" else "(n != 1)"
    for path in sorted((WEB / "locale" / language).glob("*.po")):
        with path.open("rb") as file:
            found = read_po(file)
        assert (str(found.locale), found.num_plurals, found.plural_expr) == (language, 2, plural), path
        assert not found.obsolete, path
        assert not [message.id for message in found if message.fuzzy and message.id], path
        assert not [message.id for message in found if message.pluralizable and len(message.string or "") != 2], path


@pytest.mark.parametrize(
    ("language", "forms"),
    [
        ("de", ["0 Tage", "1 Tag", "2 Tage"]),
        ("es", ["0 días", "1 día", "2 días"]),
        ("fr", ["0 jour", "1 jour", "2 jours"]),
        ("en", ["0 days", "1 day", "2 days"]),
    ],
)
def test_plurals_follow_their_language(language: str, forms: list[str]) -> None:
    said = [words(language).ngettext("%(num)s day", "%(num)s days", number) % {"num": number} for number in range(3)]
    assert said == forms


@pytest.mark.parametrize(
    ("header", "cookie", "chosen"),
    [
        ("", "", "en"),
        ("de", "", "de"),
        ("de-AT", "", "de"),
        ("DE-at;q=0.8, EN;Q=0.7", "", "de"),
        ("fr;q=0.5, de; q=0.9, en;q=0.1", "", "de"),
        ("ja, es ; q=0.2", "", "es"),
        ("de;q=0, fr;q=0.001", "", "fr"),
        ("de;q=0", "", "en"),
        ("de;q=nan, fr;q=0.1", "", "fr"),
        ("de;q=9, fr", "", "fr"),
        ("*", "", "en"),
        ("de, fr, es", "", "de"),
        (",;,q=1,-,;q=", "", "en"),
        ("de", "fr", "fr"),
        ("de", "en", "en"),
        ("de", "../../etc", "de"),
    ],
)
def test_a_cookie_chooses_the_language_else_what_a_browser_wants_most(header: str, cookie: str, chosen: str) -> None:
    headers = [(b"accept-language", header.encode())] + ([(b"cookie", f"language={cookie}".encode())] if cookie else [])
    assert language_of(Request({"type": "http", "headers": headers})) == chosen


@pytest.fixture(scope="module")
def anybody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Somebody who is not signed in, at a house where nobody lives yet."""
    settings = settings_of(tmp_path_factory.mktemp("words"))
    with open_desk(settings) as desk, TestClient(make_app(desk), base_url=settings.web.at) as client:
        yield client


ENTRANCES = {
    "de": ("Anmelden", "Besitzer von Kameras", "Ihre E-Mail-Adresse", "Hier wird niemand erkannt"),
    "es": ("Entrar", "Propietarios de cámaras", "Su dirección de correo", "Aquí no se reconoce a nadie"),
    "fr": ("Se connecter", "Propriétaires de caméras", "Votre adresse de courriel", "est reconnu ici, et rien"),
}


@pytest.mark.parametrize("language", OTHERS)
def test_a_page_is_in_the_language_of_its_reader_from_the_first_word_to_the_last(
    language: str, anybody: TestClient
) -> None:
    told = anybody.get("/sign-in", headers={"Accept-Language": f"{language}, en;q=0.5"})
    assert (told.status_code, told.headers["Content-Language"]) == (200, language)
    assert f'<html lang="{language}">' in told.text
    assert "Accept-Language" in told.headers["Vary"]
    for text in ENTRANCES[language]:
        assert text in told.text
    shown = re.sub(r"<[^>]*>", "\n", told.text)
    english = {one for one in marked() if isinstance(one, str) and known(language)[one] != [one] and " " in one}
    assert not [one for one in english if one in shown]


def test_what_is_wrong_is_told_in_the_reader_s_language(anybody: TestClient) -> None:
    german = {"Accept-Language": "de", "Sec-Fetch-Site": "same-origin"}
    told = anybody.post("/sign-in", data={"mail": "nobody"}, headers=german)
    assert told.status_code == 422
    assert "Schreiben Sie die ganze Adresse" in told.text
    assert "Eines ist" not in told.text
    told = anybody.get("/nowhere", headers=german)
    assert told.status_code == 404
    assert "Diese Seite gibt es nicht" in told.text
    told = anybody.get("/answer/AAAA", headers=german)
    assert told.status_code == 404
    assert "Dieser Link ist keiner der Ihren" in told.text


def test_a_chosen_language_stays(anybody: TestClient) -> None:
    chosen = anybody.post("/language", data={"language": "fr", "next": "/sign-in"}, headers={"Accept-Language": "de"})
    assert chosen.url.path == "/sign-in"
    assert '<html lang="fr">' in chosen.text
    assert '<html lang="fr">' in anybody.get("/sign-in", headers={"Accept-Language": "de"}).text
    anybody.cookies.clear()
    assert '<html lang="de">' in anybody.get("/sign-in", headers={"Accept-Language": "de"}).text
