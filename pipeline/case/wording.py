"""What a request's words say: an excluded purpose, and what reads as a telephone number or a mail address."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from pipeline.case.spelling import plain, spelled_out, tokens

Words: TypeAlias = Mapping[str, tuple[str, ...]]

EXCLUDED: Final[Words] = {
    "lawful assembly": (
        *("protest", "protests", "protester", "protesters", "protestor", "protestors", "protesting", "protested"),
        *("demonstration", "demonstrations", "demonstrator", "demonstrators"),
        *("rally", "rallies", "picket", "pickets", "assembly", "protesta", "protestas", "manifestación"),
        *("manifestaciones", "manifestante", "manifestantes", "demonstrant", "demonstranten", "demonstrationen"),
        *("protestierende", "kundgebung", "kundgebungen", "manifestation", "manifestations", "manifestant"),
        "manifestants",
    ),
    "announcement": (
        *("announcement", "announcements", "public notice", "anuncio público", "bekanntmachung", "bekanntmachungen"),
        "annonce publique",
    ),
    "immigration status": (
        *("immigration", "immigrant", "immigrants", "deportation", "undocumented", "visa status", "inmigración"),
        *("inmigrante", "inmigrantes", "deportación", "indocumentado", "indocumentados", "einwanderung"),
        *("abschiebung", "aufenthaltsstatus", "aufenthaltstitel", "immigré", "immigrés", "sans-papiers"),
        "titre de séjour",
    ),
    "pressure on the owner": (
        *("must share", "have to share", "required to share", "obliged to share", "obligated to share"),
        *("failure to share", "debe compartir", "obligado a compartir", "müssen teilen", "verpflichtet zu teilen"),
        *("devez partager", "obligé de partager", "tenu de partager"),
    ),
}
"""Words that name an excluded purpose, in English, Spanish, German and French."""

HARMLESS: Final[Words] = {
    "rally": (
        *("rally driver", "rally drivers", "rally car", "rally cars", "rally race", "rally racing", "rally team"),
        *("rally sport", "rally bike", "rally jacket", "rally cross", "car rally", "motor rally", "rally championship"),
    ),
    "assembly": (
        *("assembly line", "assembly lines", "assembly plant", "assembly hall", "assembly point", "assembly points"),
        *("assembly room", "assembly rooms", "assembly area", "assembly kit", "assembly instructions"),
        *("furniture assembly", "self assembly", "self-assembly", "bicycle assembly"),
    ),
    "picket": ("picket fence", "picket fences", "picket gate"),
    "announcement": (
        *("announcement board", "announcement boards", "announcement speaker", "announcement speakers"),
        *("announcement system", "announcement screen", "announcement column"),
    ),
    "demonstration": (
        *("demonstration car", "demonstration vehicle", "demonstration model", "demonstration kitchen"),
        *("demonstration bike", "demonstration bikes", "product demonstration"),
    ),
    "immigration": ("immigration lawyer", "immigration law office", "immigration law firm"),
}
"""Phrases in which an excluded word names another thing, by that word; a reviewer is shown each with a mark."""

DOUBTFUL: Final[Words] = {
    "lawful assembly": (
        *(
            "marched",
            "marching",
            "marchers",
            "march on",
            "protest march",
            "strike",
            "strikers",
            "demo",
            "demos",
            "vigil",
        ),
        *("sit-in", "activist", "activists", "crowd", "crowds", "gathering", "blockade", "picketing", "picketers"),
        *("demonstrate", "demonstrated", "demonstrating", "rallying", "rallied", "chanting", "banner", "banners"),
        *("placard", "placards", "parade", "boycott", "assemblies", "union", "marcha", "huelga", "piquete"),
        *("piquetes", "concentración", "versammlung", "aufmarsch", "streik", "mahnwache", "aktivisten"),
        *("menschenmenge", "protestieren", "demonstrieren", "rassemblement", "manif", "manifs", "grève", "cortège"),
        *("militants", "défilé", "protestation", "manifester", "protestar", "manifestarse"),
    ),
    "announcement": (
        *("announce", "announced", "announcing", "notice", "notices", "campaign", "awareness", "advertisement"),
        *("aviso", "anuncio", "ankündigung", "mitteilung", "hinweis", "annonce", "avis"),
    ),
    "immigration status": (
        *("migrant", "migrants", "refugee", "refugees", "asylum", "alien", "aliens", "visa", "visas", "nationality"),
        *("residence permit", "work permit", "foreigner", "foreigners", "foreign national", "passport", "passports"),
        *("border", "deport", "deported", "illegals", "migrante", "migrantes", "refugiado", "refugiados", "asilo"),
        *("extranjero", "extranjeros", "deportado", "asyl", "asylbewerber", "flüchtling", "flüchtlinge", "migranten"),
        *("ausländer", "abgeschoben", "réfugié", "réfugiés", "asile", "étranger", "étrangers", "clandestins"),
        *("expulsion", "immigrée", "papiers"),
    ),
    "pressure on the owner": (
        *("must", "mandatory", "obliged", "obligation", "required", "compelled", "have to", "by law", "duty"),
        *("penalty", "fined", "prosecuted", "prosecution", "warrant", "subpoena", "consequences", "obstruct"),
        *("obstruction", "obstructing", "refuse", "refusal", "if you do not", "failure to", "deadline"),
        *("good citizen", "good neighbour", "nothing to hide", "we know", "expect you", "debe", "deben", "obligatorio"),
        *("obligación", "multa", "consecuencias", "müssen", "pflicht", "verpflichtet", "strafbar", "bußgeld", "folgen"),
        *("devez", "obligatoire", "obligation", "amende", "conséquences"),
    ),
    "personal data": (
        *("named", "victim", "victims", "born on", "date of birth", "birthday", "phone", "telephone", "mobile", "tel"),
        *("mail", "email", "e-mail", "whatsapp", "telegram", "lives at", "address of", "víctima", "teléfono"),
        *("opfer", "geboren", "telefon", "handy", "victime", "téléphone", "courriel"),
    ),
}
"""Words that may mean an excluded purpose, by purpose, and such that go with personal data."""

_STREET: Final = (
    *("street", "st", "road", "rd", "avenue", "ave", "lane", "square", "close", "court", "drive", "place", "terrace"),
    *("way", "row", "gardens", "hill", "park", "house", "hall", "building", "inn", "pub"),
)

_MAIL = re.compile(
    r"[\w.+-]+ ?@ ?[\w-]+(?:\.| \. )\w+"
    r"|[\w.+-]+ ?[\[({<] ?(?:at|@|arroba|ät) ?[\])}>] ?[\w.-]+"
    r"|[\w.+-]+ (?:at|arroba|ät) [\w-]+"
    r"(?: ?[\[({<] ?(?:dot|punto|punkt|point) ?[\])}>] ?| (?:dot|punto|punkt|point) )[a-z]{2,}",
    re.IGNORECASE,
)
_PHONE = re.compile(r"(?<!\w)(?:\+\d[\d ()./-]{5,}\d|\d{3}[-. ]\d{4}|\(?\d(?:[ ()./-]*\d){8,})(?!\w)")
# Dates and times of day look like telephone numbers and belong in a note; they are put aside before one is looked for.
_WHEN = re.compile(
    r"(?<![\w+-])(?:(?:19|20)\d\d([-/.])\d\d?\1\d\d?|\d\d?([-/.])\d\d?\2(?:19|20)\d\d"
    r"|(?:[01]\d|2[0-4])[0-5]\d ?- ?(?:[01]\d|2[0-4])[0-5]\d)(?![\w-])"
)
_DIGITLIKE = re.compile(r"(?<!\w)[0-9OoIl|(+][0-9OoIl| ()./-]{6,}(?!\w)")
_NUMBER: Final = (
    "(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple|null|eins|zwei|drei|vier|fünf|funf|sechs"
    "|sieben|acht|neun|cero|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|un|deux|trois|quatre|cinq|sept|huit|neuf)"
)
_SPOKEN = re.compile(rf"(?<!\w){_NUMBER}(?:[\W_]+{_NUMBER}){{6,}}(?!\w)", re.IGNORECASE)


def purpose(said: str, excluded: Words, harmless: Words) -> tuple[str, str] | None:
    """Return the excluded purpose a text names, with the word, None where it names none.

    However it is spelled: look-alikes, digits for letters, hidden characters, and words that are torn apart.
    """
    read = set_aside(said, harmless)
    words = tokens(read)
    for name, listed in excluded.items():
        for word in listed:
            if holds(read, words, word):
                return name, word
    return None


def holds(read: str, words: Sequence[str], word: str) -> bool:
    """Tell whether a text as it reads, and its words folded, hold a word or phrase as whole words."""
    if re.search(rf"(?<!\w){_spaced(word)}(?!\w)", read):
        return True
    # What has digits or signs has no other spelling than its own.
    return all(char.isalpha() or char in " '-" for char in word) and spelled_out(list(words), word)


def set_aside(said: str, harmless: Words) -> str:
    """Return a text as it reads, in small letters, without the phrases in which an excluded word is none."""
    read = plain(said).casefold()
    for pattern in _phrases(harmless):
        read = re.sub(pattern, " ; ", read)
    return read


def harmless_in(said: str, harmless: Words) -> list[str]:
    """Return the phrases of a text in which an excluded word names another thing."""
    read = plain(said).casefold()
    return [found[0] for pattern in _phrases(harmless) for found in re.finditer(pattern, read)]


def _phrases(harmless: Words) -> Iterator[str]:
    for word, phrases in harmless.items():
        for phrase in phrases:
            yield rf"(?<!\w){_spaced(phrase)}(?!\w)"
        yield rf"(?<!\w){_spaced(word)}\s+(?:{'|'.join(_STREET)})(?!\w)"


def _spaced(phrase: str) -> str:
    return r"\s+".join(re.escape(part) for part in plain(phrase).casefold().split())


def personal(said: str) -> bool:
    """Tell whether a text holds what reads as a mail address or telephone number, also in words or look-alikes."""
    read = plain(said)
    rest = _WHEN.sub("; ", read)
    likes = (one[0] for one in _DIGITLIKE.finditer(rest) if sum(char.isdigit() for char in one[0]) >= 5)
    numbers = [one.translate(str.maketrans("OoIl|", "00111")) for one in likes]
    return bool(_MAIL.search(read) or _PHONE.search(rest) or _SPOKEN.search(read) or any(map(_PHONE.search, numbers)))
