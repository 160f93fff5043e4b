"""What a text for neighbours may not say: where somebody lives, how they are reached, and how somebody merely looks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from pipeline.case.spelling import folded, foreign, hidden, plain, tokens
from pipeline.case.wording import personal
from pipeline.errors import RequestRefused

_PERSONS: Final = (
    *("man", "men", "guy", "guys", "male", "males", "woman", "women", "female", "females", "lady", "ladies", "girl"),
    *("girls", "boy", "boys", "kid", "kids", "teen", "teens", "teenager", "teenagers", "youth", "youths", "person"),
    *("persons", "people", "someone", "somebody", "individual", "individuals", "dude", "dudes", "bloke", "blokes"),
    *("gentleman", "stranger", "strangers", "suspect", "suspects", "character", "characters", "folks", "couple"),
    *("hombre", "hombres", "mujer", "mujeres", "tipo", "tipos", "chico", "chicos", "chica", "chicas", "persona"),
    *("personas", "alguien", "señor", "señora", "joven", "jóvenes", "individuo", "individuos", "desconocido"),
    *("mann", "männer", "typ", "typen", "kerl", "kerle", "frau", "frauen", "junge", "jungen", "mädchen", "jemand"),
    *("personen", "leute", "jugendlicher", "jugendliche", "unbekannter", "fremder", "fremde", "gestalt", "gestalten"),
    *("homme", "hommes", "femme", "femmes", "mec", "mecs", "gars", "garçon", "garçons", "fille", "filles", "jeune"),
    *("jeunes", "personne", "personnes", "individus", "quelqu'un", "inconnu", "inconnus", "monsieur", "dame"),
)
_LOOKS: Final = (
    *("black", "white", "brown", "asian", "dark", "tall", "short", "slim", "skinny", "heavyset", "stocky", "fat"),
    *("thin", "old", "older", "young", "elderly", "middle-aged", "teenage", "bald", "beard", "blonde", "blond", "hair"),
    *("haired", "jacket", "coat", "shirt", "t-shirt", "sweater", "sweatshirt", "jeans", "trousers", "pants", "cap"),
    *("hat", "beanie", "mask", "masked", "gloves", "shorts", "sneakers", "suspicious", "weird", "strange", "odd"),
    *("creepy", "shady", "dodgy", "unknown", "dressed", "wearing", "wore", "clothes", "accent", "turban", "hijab"),
    *("headscarf", "years old", "year old", "african", "indian", "jewish", "muslim", "foreign", "foreigner"),
    *("negro", "negra", "negros", "blanco", "blanca", "moreno", "morena", "alto", "alta", "bajo", "baja", "gordo"),
    *("delgado", "delgada", "viejo", "vieja", "calvo", "barba", "chaqueta", "sudadera", "gorra", "capucha", "vestido"),
    *("sospechoso", "sospechosa", "sospechosos", "raro", "rara", "extranjero", "extranjera", "gitano", "gitana"),
    *("schwarz", "schwarzer", "schwarze", "schwarzen", "dunkelhäutig", "dunkelhäutiger", "südländisch", "südländer"),
    *("südländischer", "groß", "großer", "kleiner", "dicker", "dünner", "alter", "älterer", "ältere", "junger"),
    *("bart", "jacke", "pullover", "kapuze", "mütze", "verdächtig", "verdächtiger", "verdächtige", "verdächtigen"),
    *("komisch", "komischer", "seltsam", "seltsamer", "ausländer", "ausländisch", "ausländischer", "gekleidet"),
    *("noir", "noire", "noirs", "blanche", "grand", "grande", "petit", "petite", "gros", "grosse", "maigre", "vieux"),
    *("chauve", "barbe", "veste", "pull", "capuche", "casquette", "habillé", "habillée", "suspect", "suspecte"),
    *("louche", "bizarre", "étranger", "étrangère", "basané", "basanée", "arabe", "maghrébin", "africain", "vêtu"),
)
# These tell how somebody looks, or what is thought of them, without a word for a person.
_SAYS_ALL: Final = (
    *("hoodie", "hoodies", "hooded", "hispanic", "hispanics", "latino", "latinos", "latina", "mexican", "mexicans"),
    *("caucasian", "african american", "arab", "arabs", "gypsy", "gypsies", "roma", "homeless", "vagrant", "vagrants"),
    *("dark skinned", "light skinned", "dark-skinned", "light-skinned", "tattoo", "tattoos", "tattooed", "bearded"),
    *("dreadlocks", "doesn't belong", "don't belong", "does not belong", "do not belong", "not from here"),
    *("not from around here", "suspicious-looking", "suspicious looking", "suspicious person", "sketchy", "thug"),
    *("thugs", "junkie", "junkies", "loitering", "loiterer", "lurking", "prowler", "prowling", "up to no good"),
    *("no es de aquí", "merodeando", "vagabundo", "herumlungert", "herumlungern", "nicht von hier", "zigeuner"),
    *("obdachloser", "obdachlose", "traîne", "rôde", "rôdeur", "pas d'ici", "clochard", "gitan", "gitans"),
)
_ACTS: Final = (
    *("stole", "stolen", "stealing", "steals", "grabbed", "snatched", "robbed", "robbery", "mugged", "broke into"),
    *("broke in", "broke my", "broke our", "broke the", "broken into", "breaking into", "breaking in", "break-in"),
    *("burgled", "burglary", "burglar", "burglars", "smashed", "smashing", "forced open", "forced the", "pried"),
    *("kicked in", "kicked my", "kicked our", "kicked the", "tried the door", "tried doors", "tried door handles"),
    *("tried car doors", "tried to open", "tried to get into", "tried to enter", "tried to take", "tried my"),
    *("tried our", "tried several", "tried handles", "trying doors", "trying the door", "trying car doors"),
    *("trying door handles", "trying handles", "trying to open", "trying to get into", "trying to break"),
    *("tried to break", "tried the handle", "tried the handles", "tried the doors", "pulled on car doors"),
    *("climbed over", "climbed into", "climbed through", "climbed our", "climbed my", "jumped my", "jumped our"),
    *("vandalised", "vandalized", "vandalising", "spray-painted", "spray painted", "graffiti", "damaged", "keyed"),
    *("slashed", "set fire", "arson", "fired a", "fired at", "shot at", "shooting", "shots fired", "stabbed"),
    *("stabbing", "attacked", "attacking", "assaulted", "assault", "hit me", "hit my", "hit a", "hit and run"),
    *("punched", "threatened", "threatening", "followed me", "followed my", "followed her", "followed him"),
    *("followed a", "chased", "harassed", "harassing", "exposed himself", "exposed herself", "groped", "dumped"),
    *("dumping", "crashed", "collided", "ran off with", "made off with", "took my", "took our", "took a package"),
    *("took packages", "took parcels", "took a parcel", "took the package", "took the parcel", "took the bike"),
    *("entered my", "entered our", "entered the house", "entered the garage", "cut the lock", "cut a lock"),
    *("missing", "went missing", "scammed", "scam", "fraud", "tricked", "returned my", "returned our", "rescued"),
    *("helped me", "helped my", "helped us", "saved my", "collapsed", "fell down", "injured", "siphoned", "poisoned"),
    *("robó", "robaron", "robando", "robado", "robada", "robo", "rompió", "rompieron", "forzó", "forzaron", "entró en"),
    *("entraron en", "atacó", "atacaron", "amenazó", "amenazaron", "me siguió", "disparó", "apuñaló", "desaparecido"),
    *("desaparecida", "se llevó", "se llevaron", "agredió", "golpeó", "intentó abrir", "intentó entrar", "quemó"),
    *("stahl", "stahlen", "gestohlen", "klaute", "klauten", "geklaut", "eingebrochen", "einbruch", "aufgebrochen"),
    *("zerschlug", "zerschlagen", "beschädigt", "beschädigte", "angegriffen", "bedroht", "bedrohte", "verfolgte"),
    *("verfolgt", "geschossen", "schoss", "vermisst", "überfallen", "überfall", "geschlagen", "schlug", "raubte"),
    *("einzubrechen", "versuchte die", "entwendet", "entwendete", "angezündet", "gerüttelt", "rüttelte"),
    *("volé", "volée", "cambriolé", "cambriolage", "cassé", "forcé", "attaqué", "agressé", "menacé", "m'a suivi"),
    *("m'a suivie", "tiré sur", "disparu", "disparue", "fracturé", "arraché", "essayé d'ouvrir", "tenté d'ouvrir"),
    *("tenté d'entrer", "essayé d'entrer", "frappé", "poignardé", "incendié", "vandalisé", "entré chez"),
)
_NOT_DONE: Final = frozenset({
    *("might", "may", "could", "would", "probably", "possibly", "maybe", "perhaps", "about", "going", "planning"),
    *("wants", "want", "wanted", "ready", "not", "never", "nothing", "without", "nobody", "no", "if", "looks"),
    *("looked", "like", "podría", "podrían", "quizás", "quizá", "nunca", "nada", "sin", "könnte", "könnten"),
    *("vielleicht", "nicht", "nichts", "kein", "keine", "nie", "ohne", "wohl", "will", "pourrait", "pourraient"),
    *("peut-être", "pas", "jamais", "rien", "sans", "before", "avant", "antes", "bevor"),
})  # fmt: skip

_SURE: Final = "street|st|road|rd|avenue|ave|lane|ln|boulevard|blvd|crescent|terrace|parkway|highway|mews|alley|gardens"
_EITHER: Final = (
    "Way|Close|Place|Pl|Drive|Dr|Walk|Row|View|Hill|Court|Ct|Loop|Circle|Cir|Square|Sq|Trail|Grove|Park|Rise"
)
# Between a number and a street these tell that the number counts something else, or that a block is told.
_PASSING: Final = (
    "(?!(?:on|in|at|off|along|near|from|to|by|down|up|of|the|this|our|my|your|and|or|with|was|were|is|are|block|am|pm"
    "|hours?|hrs?|minutes?|mins?|seconds?|days?|weeks?|months?|years?|times?|am|cars?|people|men|women|m|km|miles?"
    r"|blocks?|per|mph|h|min)\b)"
)
_COUNTED: Final = (
    "(?:three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen"
    "|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred)"
)
_ROAD: Final = "rue|avenue|av|boulevard|bd|allee|chemin|impasse|quai|route|rua"
_HOUSE: Final = (
    re.compile(rf"(?<![\w.:])\d{{1,5}} ?[a-z]?,? (?:{_PASSING}[\w'.-]+ ){{1,4}}?(?:{_SURE})\b", re.IGNORECASE),
    re.compile(rf"(?<![\w.:])\d{{1,5}} ?[a-zA-Z]?,? (?:[A-Z][\w'.-]* ){{1,3}}(?:{_EITHER})\b"),
    re.compile(
        rf"(?<!\w){_COUNTED}(?:[- ]{_COUNTED})*(?:[- ](?:one|two))? (?:{_PASSING}[\w'.-]+ ){{1,2}}?(?:{_SURE})\b",
        re.IGNORECASE,
    ),
    re.compile(r"\b[\w-]*(?:strasse|str\.|weg|gasse|platz|allee|damm|ufer|straat|laan|plein|gracht|kade|gatan|vej)"
               r" ?(?:nr\.? ?)?\d{1,4} ?[a-z]?\b", re.IGNORECASE),
    re.compile(r"\b(?:calle|avenida|av\.|avda\.?|plaza|paseo|camino|carrer|viale|piazza|rua|c/) ?"
               r"(?:[\w'.]+ ){0,4}?[\w'.]+,? (?:n\w?[.o]* ?)?\d{1,4}\b", re.IGNORECASE),
    re.compile(rf"(?<!\w)\d{{1,4}} ?(?:bis|ter|[a-d])?,? ?(?:{_ROAD})\.? ", re.IGNORECASE),
    re.compile(r"\b(?:house|apt|apartment|flat|suite|hausnummer|haus|wohnung|piso|appartement|appt|portal)\.?"
               r" ?(?:number|no|nr|num)?\.? ?#?\d{1,5} ?[a-z]?\b", re.IGNORECASE),
    re.compile(r"(?<!\w)(?:number|no\.|nr\.|numero|hausnummer|nummer|#) ?\d{1,5}[a-z]?\b(?! ?(?:bus|tram|line|%))",
               re.IGNORECASE),
)  # fmt: skip

_JOIN: Final = r"[-. ·]?"
_PLATE: Final = re.compile(
    rf"(?<![\w-])(?:[A-Z]{{2}}\d\d{_JOIN}[A-Z]{{3}}|[A-Z]{{1,3}}[-. ·][A-Z]{{1,2}}{_JOIN}\d{{1,4}}[EH]?"
    rf"|[A-Z]{{2}}{_JOIN}\d{{3}}{_JOIN}[A-Z]{{2}}|\d{{4}}{_JOIN}[A-Z]{{3}}|\d[A-Z]{{3}}{_JOIN}\d{{3}}"
    rf"|[A-Z]{{3}}{_JOIN}\d{{3,4}}|\d{{3}}{_JOIN}[A-Z]{{3}}|[A-Z]{{2}}{_JOIN}\d{{4,5}}|[A-Z]\d{{2,3}}{_JOIN}[A-Z]{{3}}"
    rf"|\d{{1,2}}-?[A-Z]{{2,3}}-?\d{{1,2}}|[A-Z]{{1,2}}-\d{{2,3}}-[A-Z]{{1,2}}|[A-Z]-\d{{3}}-[A-Z]{{2}}"
    rf"|\d{{3}}-[A-Z]{{2}}-\d|\d-[A-Z]{{3}}-\d{{2,3}})(?![\w-])"
)
_LETTERS_OF_NONE: Final = frozenset({
    *("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "SEPT", "OCT", "NOV", "DEC", "AM", "PM", "THE"),
    *("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN", "UTC", "GMT", "CET", "EST", "PST", "KM", "AD", "BC", "ISO"),
})  # fmt: skip
_SMALL_PLATE: Final = re.compile(
    r"(?<![\w-])(?:[a-z]{2}\d\d[a-z]{3}|[a-z]{2}-\d{3}-[a-z]{2}|\d[a-z]{3}\d{3}|[a-z]{3}-?\d{3,4}|\d{4}-?[a-z]{3}"
    r"|[a-z]{1,3}-[a-z]{1,2}-?\d{1,4}|[a-z]{1,3}-[a-z]{1,2} \d{1,4}|\d{1,2}-[a-z]{2,3}-\d{1,2})(?![\w-])"
)
_SAID_PLATE: Final = re.compile(
    r"(?<!\w)(?:plates?|reg|registration|licen[cs]e plate|number ?plate|kennzeichen|matricula|immatriculation|plaque)"
    r"(?: number| no| nr)?(?: (?:is|was|ends?|ending|starts?|starting|begins|beginning|with|in|ist|es|est|of))*"
    r"[: ]+(?=[a-z0-9 -]{0,12}\d)[a-z0-9-]{2,}", re.IGNORECASE,
)  # fmt: skip

_FINE: Final = re.compile(r"(?<!\d)[-+]?\d{1,3}[.,]\d{4,}|\d{1,3} ?° ?\d{1,2}(?:[.,]\d+)? ?['\u2032\u2019]")
_CODED: Final = re.compile(
    r"///\w+[.]\w+[.]\w+|(?<!\w)[2-9CFGHJMPQRVWX]{4,8}\+[2-9CFGHJMPQRVWX]{2,3}(?!\w)", re.IGNORECASE
)
_LINK: Final = re.compile(
    r"https?:|www\.|(?<![\w@])[\w-]+\.(?:com|org|net|info|io|me|ly|gl|de|fr|es|nl|eu|uk|us|co|app|social|tv)\b(?!\.\w)",
    re.IGNORECASE,
)


def check_said(said: str, *, of_resident: bool) -> tuple[str, ...]:
    """Raise RequestRefused naming the rule a text breaks; return the marks that a reviewer should look at.

    of_resident: a post, which may name no house, plate or link either; an agency's notice may.
    """
    if personal(said):
        raise RequestRefused(
            "personal data", "the text holds what reads as a mail address or telephone number; say it without"
        )
    if _FINE.search(plain(said)) or _CODED.search(said):
        raise RequestRefused("coordinates", "the text tells a place more exactly than a block; the cell says where")
    if of_resident:
        _check_residents(said)
    marks = [f"its spelling hides something: {one}" for one in hidden(said)]
    marks += [f"{name} letters, which the rules have no words in" for name in foreign(said)]
    if looks := describes(said):
        if not tells_an_act(said):
            raise RequestRefused(
                "person",
                f"a person is described ({looks!r}) and nothing that they did; tell what happened, or leave out how "
                "somebody looks",
            )
        marks.append(f"describes a person: {looks!r}")
    return tuple(marks)


def _check_residents(said: str) -> None:
    if _LINK.search(plain(said)):
        raise RequestRefused("link", "the text holds a link, behind which anything may stand; say it in words")
    if house := house_in(said):
        raise RequestRefused(
            "address", f"the text holds what reads as a house number ({house!r}); name the street alone"
        )
    if plate := plate_in(said):
        raise RequestRefused("plate", f"the text holds what reads as a number plate ({plate!r}); leave it out")


def house_in(said: str) -> str:
    """Return what of a text reads as a house number, "" for nothing."""
    read = " ".join(plain(said).split())
    for pattern in _HOUSE:
        for text in (read, read.replace("ß", "ss")):
            if found := pattern.search(text):
                return found[0].strip()
    return ""


def plate_in(said: str) -> str:
    """Return what of a text reads as a number plate, "" for nothing."""
    read = " ".join(plain(said).split())
    for pattern in (_PLATE, _SMALL_PLATE, _SAID_PLATE):
        for found in pattern.finditer(read):
            letters = set(re.findall(r"[A-Z]+", found[0].upper()))
            digits = re.findall(r"\d+", found[0])
            if len("".join(letters)) + len("".join(digits)) >= 4 and not letters & _LETTERS_OF_NONE:
                return found[0].strip()
    return ""


class _Listed:
    """Words and phrases that a text is looked through for all at once, however they are spelled or torn apart."""

    def __init__(self, listed: Sequence[str]) -> None:
        phrases = [r"\s+".join(re.escape(part) for part in plain(one).casefold().split()) for one in listed]
        self._pattern = re.compile(rf"(?<!\w)(?:{'|'.join(phrases)})(?!\w)")
        self._folded = {folded(one): one for one in listed if all(char.isalpha() or char in " '-" for char in one)}
        self._longest = max(map(len, self._folded))

    def found(self, read: str, words: Sequence[str]) -> str:
        """Return the first of them that a text as it reads, or its words folded, hold; "" for none."""
        if found := self._pattern.search(read):
            return found[0]
        for at in range(len(words)):
            joined = ""
            for until in range(at, len(words)):
                joined += words[until]
                if len(joined) > self._longest:
                    break
                # Short words that are joined by chance are another word in half of all texts.
                whole = until == at or len(joined) >= 6 or all(len(one) == 1 for one in words[at : until + 1])
                if whole and joined in self._folded:
                    return self._folded[joined]
        return ""


@cache
def _listed() -> tuple[_Listed, _Listed, _Listed]:
    return _Listed(_SAYS_ALL), _Listed(_LOOKS), _Listed(_PERSONS)


def describes(said: str) -> str:
    """Return the words by which a text tells how a person looks, "" where it does not."""
    read, words = plain(said).casefold(), tokens(said)
    says_all, looks, persons = (listed.found(read, words) for listed in _listed())
    return says_all or (f"{looks} {persons}" if looks and persons else "")


def tells_an_act(said: str) -> bool:
    """Tell whether a text tells something that was done, not what somebody might do, or did not."""
    read = re.sub(r"[^\S\n]+", " ", plain(said).casefold())
    return any(not _only_feared(read[: found.start()]) for found in _acts().finditer(read))


@cache
def _acts() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(plain(one).casefold()) for one in _ACTS)})(?!\w)")


_UNDONE: Final = frozenset(plain(one).casefold() for one in _NOT_DONE)


def _only_feared(before: str) -> bool:
    """Tell whether the last words before an act, in its own sentence, take it back."""
    sentence = re.split(r"[.!?;\n]", before)[-1]
    last = re.findall(r"[\w'-]+", sentence)[-4:]
    return any(one in _UNDONE or re.search(r"n'?t$", one) for one in last)
