"""Spellings and disguises that were thought of to get round the rules of a request, and honest texts beside them."""

from collections.abc import Callable
from typing import Final

_BOLD, _WIDE, _CIRCLED = 0x1D41A, 0xFF41, 0x24D0


def _shifted(first: int) -> Callable[[str], str]:
    table = {ord("a") + at: first + at for at in range(26)}
    return lambda word: word.translate(table)


def _swapped(letters: str, others: str) -> Callable[[str], str]:
    table = str.maketrans(letters, others)
    return lambda word: word.translate(table)


def _between(sign: str) -> Callable[[str], str]:
    return sign.join


HIDING: Final[dict[str, Callable[[str], str]]] = {
    "mathematical bold": _shifted(_BOLD),
    "mathematical script": _shifted(0x1D4EA),
    "mathematical monospace": _shifted(0x1D68A),
    "full width": _shifted(_WIDE),
    "circled": _shifted(_CIRCLED),
    "in parentheses": _shifted(0x249C),
    "squared": _shifted(0x1F170),
    "flags": _shifted(0x1F1E6),
    "Cyrillic": _swapped("aceiopsxy", "асеіорѕху"),
    "Cyrillic capitals": lambda word: _swapped("ABCEHIKMOPSTXY", "АВСЕНІКМОРЅТХУ")(word.upper()),
    "Greek": _swapped("aioptuv", "αιορτυν"),
    "faux Cyrillic": _swapped("rnet", "яиєт"),
    "small capitals": _swapped("abcdegilmnoprtuv", "ᴀʙᴄᴅᴇɢɪʟᴍɴᴏᴘʀᴛᴜᴠ"),
    "superscript": _swapped("eimnoprst", "ᵉⁱᵐⁿᵒᵖʳˢᵗ"),
    "soft hyphens": _between("\u00ad"),
    "zero-width spaces": _between("\u200b"),
    "zero-width joiners": _between("\u200d"),
    "word joiners": _between("\u2060"),
    "marks of direction": _between("\u200f"),
    "struck through": _between("\u0336"),
    "accents": lambda word: word.replace("o", "ö").replace("e", "é"),
    "stacked accents": lambda word: "".join(f"{char}\u0301\u0323" for char in word),
    "strokes": _swapped("doti", "đøŧɨ"),
    "spaced": _between(" "),
    "dotted": _between("."),
    "dashed": _between("-"),
    "slashed": _between("/"),
    "underlined": _between("_"),
    "over lines": _between("\n"),
    "torn": lambda word: f"{word[:3]} {word[3:]}",
    "hyphened": lambda word: f"{word[:4]}-{word[4:]}",
    "broken at a line's end": lambda word: f"{word[:3]}-\n{word[3:]}",
    "no-break spaces": _between("\u00a0"),
    "Braille blanks": _between("\u2800"),
    "Hangul fillers": _between("\u3164"),
    "digits": _swapped("oeis", "0315"),
    "signs": _swapped("asit", "@$!+"),
    "capitals": str.upper,
    "mixed case": lambda word: "".join(char.upper() if at % 2 else char for at, char in enumerate(word)),
    "quoted": lambda word: f'"{word}"',
    "a hash": lambda word: f"#{word}",
    "drawn out": lambda word: word.replace("o", "ooooo", 1),
    "backwards": lambda word: word[::-1],
    "turned round for the eye": lambda word: f"\u202e{word[::-1]}\u202c",
    "letters exchanged": lambda word: word[:2] + word[3] + word[2] + word[4:],
    "a letter too many": lambda word: word[:4] + "x" + word[4:],
    "a letter short": lambda word: word[:3] + word[4:],
    "a star": lambda word: word[:2] + "*" + word[3:],
    "no vowels": lambda word: word.translate(dict.fromkeys(map(ord, "aeiou"))),
    "inside another": lambda word: f"anti{word}aktion",
    "with a number": lambda word: f"{word}2026",
}
"""Ways to hide a word from a machine that a reader still reads, by their names; each takes small letters a to z."""

HIDDEN_WORDS: Final = ("protest", "demonstration", "immigration", "manifestation")

OTHER_WORDS: Final = (
    *(
        "protesting",
        "Protested loudly",
        "protestors seen",
        "the protester",
        "PROTEST",
        "counter-protest",
        "protest-march",
    ),
    *("ral1y", "r@lly", "rallly", "RA11Y on the square", "ra\u200blly", "рally", "p1cket line", "pick ets", "ass3mbly"),
    *("as sembly", "assemb1y", "Versammlung am Platz", "Kundgebung", "kund gebung", "Demonstranten", "Mahnwache"),
    *("Protestmarsch", "Protestaktion der Gruppe", "Demo am Markt", "manif", "la manifestación", "manifestacion"),
    *("manifestantes", "manifestants", "une manifestation", "huelga general", "rassemblement", "sit-in"),
    *("marched to the town hall", "strikers at the gate", "activists with banners", "a large crowd gathering"),
    *(
        "picketing",
        "union strike",
        "vigil for peace",
        "announcement",
        "ann0uncement",
        "annou\u00adncement",
        "public  notice",
    ),
    *("publ1c n0tice", "Bekanntmachung", "awareness campaign", "undocumented", "un-documented", "und0cumented"),
    *("visa  status", "v i s a status", "visa-status", "immigrés", "immigres", "sans papiers", "sanspapiers"),
    *("inmigrantes", "Abschiebung", "asylum seekers", "illegal aliens", "refugees", "Asylbewerber", "residence permit"),
    *("prtst", "imm1grati0n", "deportati0n", "de portation", "d e p o r t a t i o n", "pro\u200btest", "pʀoteѕt"),
    *("pro&shy;test", "pro<b></b>test", "pro·test", "pr()test", "|>rotest", "pro‧tests", "PROTESTER", "pro/test"),
)
"""More that names an excluded purpose, or nearly."""

PRESSURE: Final = (
    *("you must share", "you mu5t share", "m u s t s h a r e", "must-share", "YOU HAVE TO SHARE", "have  to\nshare"),
    *(
        "required to sh\u200bare",
        "obliged to share",
        "failure to share will be noted",
        "müssen teilen",
        "debe compartir",
    ),
    *("devez partager", "ｍｕｓｔ ｓｈａｒｅ", "you must answer", "refusal will be noted", "sharing is mandatory"),
    *(
        "we will come with a warrant",
        "a good citizen answers",
        "nothing to hide, nothing to fear",
        "by law",
        "es Pflicht",
    ),
    *("obstruction of justice", "consequences follow", "sous peine d'amende", "es obligatorio", "if you do not answer"),
)
"""What presses an owner."""

PERSONAL: Final = (
    *(
        "write to jane.doe@example.org",
        "jane@example.org",
        "ｊａｎｅ＠ｅｘａｍｐｌｅ．ｏｒｇ",
        "jane\u200b@example\u200b.org",
    ),
    *("jane at example dot org", "jane (at) example (dot) org", "jane [at] example.org", "jane{at}example.org"),
    *("jane @ example . org", "jane AT example DOT org", "jane arroba ejemplo punto es", "jane(ät)beispiel punkt de"),
    *("jаne@exаmple.оrg", "jane\u00ad@\u00adexample.org", "jane＠example。org", "jane <at> example <dot> com"),
    *(
        "call 0171 1234567",
        "call ０１７１ １２３４５６７",
        "call O171 l234567",
        "call 0171\u200b123\u200b4567",
        "+49 89 1234567",
    ),
    *(
        "＋49 89 1234567",
        "(555) 123-4567",
        "555\u2011123\u20114567",
        "555–123–4567",
        "٠١٧١ ١٢٣٤٥٦٧",
        "0 1 7 1 1 2 3 4 5 6 7",
    ),
    *(
        "five five five one two three four five",
        "zero one seven one one two three",
        "eins zwei drei vier fünf sechs sieben",
    ),
    *(
        "0171_123_4567",
        "0171*123*4567",
        "0171,123,4567",
        "0171:123:4567",
        "0171~1234567",
        "①⑦① ①②③ ④⑤⑥⑦",
        "𝟎𝟏𝟕𝟏 𝟏𝟐𝟑𝟒𝟓𝟔𝟕",
    ),
    *("@jane_doe on the usual app", "www.example.org/jane", "https://example.org", "t.me/janedoe", "example.com/jane"),
    *("the victim is named Jane", "born on the 3rd of May", "her phone number is known", "lives at the corner house"),
)
"""Personal data, and how somebody is reached."""

CASE: Final = "2026-117"
SAME_CASE: Final = (
    *("2026-117", "2026\u2010117", "2026\u2011117", "2026\u2012117", "2026\u2013117", "2026\u2014117", "2026\u2015117"),
    *("2026\u2212117", "2026\ufe63117", "2026\uff0d117", "2026\u2043117", "2026\u00ad-117", "2026--117", "2026 - 117"),
    *(
        "２０２６-１１７",
        "２０２６－１１７",
        "2026\u200b-117",
        "2026-\u200b117",
        "\ufeff2026-117",
        "2026-117\u200d",
        "2026\u2060-117",
    ),
    *(
        "\u200f2026-117",
        "\u202e2026-117\u202c",
        "2026-117\u0301",
        "2\u03360\u03362\u03366-117",
        "2026/117",
        "2026 117",
        "2026.117",
    ),
    *(
        "2026_117",
        "2026117",
        "2026:117",
        "2026\u2044117",
        "2026\u00a0117",
        "2026\u3000117",
        " 2026-117 ",
        "2026-117.",
    ),
    *(
        "#2026-117",
        "(2026-117)",
        "'2026-117'",
        "2026-0117",
        "2026-00117",
        "02026-117",
        "2O26-117",
        "2o26-117",
        "2026-ll7",
    ),
    *(
        "2026-II7",
        "2026-1I7",
        "2026-l17",
        "2026-|17",
        "2О26-117",
        "2026-ӏӏ7",
        "2026-ΙΙ7",
        "𝟐𝟎𝟐𝟔-𝟏𝟏𝟕",
        "𝟚𝟘𝟚𝟞-𝟙𝟙𝟟",
        "²⁰²⁶-¹¹⁷",
    ),
    *(
        "₂₀₂₆-₁₁₇",
        "②⓪②⑥-①①⑦",
        "٢٠٢٦-١١٧",
        "2\ufe0f\u20e30\ufe0f\u20e32\ufe0f\u20e36\ufe0f\u20e3-117",
        "२०२६-११७",
        "二〇二六-一一七",
        "2026\u2800117",
        "2026\u3164-117",
        "2026 \u00ad 117",
    ),
)
"""Spellings of `CASE` that are one."""

LIKE_CASE: Final = (
    *(
        "case 2026-117",
        "Case No. 2026-117",
        "CAD 2026-117",
        "2026-117a",
        "2026-117 A",
        "2026-117/1",
        "2026-117-2",
        "20260117",
    ),
    *(
        "2026-117 (second part)",
        "ref:2026-117",
        "2026-117 bis",
        "Az. 2026-117",
        "x2026-117x",
        "new-2026-0117",
        "20260-117",
    ),
    *("2026-117 cont.", "2026 00117 b"),
)
"""What may be `CASE` dressed up, and counts as another one."""

OTHER_CASE: Final = (
    *(
        "2026-118",
        "2026-127",
        "2025-117",
        "2026-17",
        "2026-11",
        "26-117",
        "2026-711",
        "A-9",
        "2027-117",
        "117",
        "C-1",
    ),
)
"""Case numbers that are others."""

HONEST: Final = (
    *(
        "burglary",
        "Theft of a bicycle",
        "vandalism of a parked car",
        "missing child, 7 years, blue jacket",
        "hit and run",
    ),
    *(
        "arson at a shed",
        "assault near the station",
        "robbery of the corner shop",
        "fire in a container",
        "stolen trailer",
    ),
    *(
        "the Protestant church was burgled",
        "graffiti on the Protestant school",
        "Evangelical-Protestant parish hall broken into",
    ),
    *(
        "a rally driver lost control",
        "two rally cars collided",
        "motor rally: a wheel came off",
        "Rally Road, corner of Mill Lane",
    ),
    *("theft from the assembly line", "fire at the assembly plant", "meet at the assembly point", "Assembly Street 12"),
    *(
        "damage to the Assembly Rooms",
        "furniture assembly van broken into",
        "self-assembly shelf stolen",
        "Assembly Hall window",
    ),
    *(
        "announcement board was damaged",
        "the station's announcement speakers were stolen",
        "an announcement screen was smashed",
    ),
    *(
        "picket fence knocked down by a car",
        "picket gate stolen",
        "a product demonstration kit was stolen",
        "Picket Close",
    ),
    *("the demonstration car of a dealer was stolen", "immigration lawyer's office burgled", "Demonstration Street"),
    *(
        "disassembly of stolen bicycles",
        "orally reported by a passer-by",
        "naturally no witness",
        "the rallye car was red",
    ),
    *(
        "we protect evidence",
        "protected tree cut down",
        "the protector of a phone was found",
        "project site theft",
        "a prospect of the club",
    ),
    *(
        "tickets were stolen",
        "things fell from his pockets",
        "tennis rackets stolen",
        "a packet was taken",
        "a contest on the green",
    ),
    *(
        "parade ground fence cut",
        "12 March, 18:00",
        "the union building was broken into",
        "strike plate of the door was bent",
    ),
    *(
        "a crowd of three youths ran off",
        "banner ad torn down",
        "border collie stolen",
        "the border of the park",
        "notice board broken",
    ),
    *(
        "passport stolen from a car",
        "alien-shaped balloon stolen",
        "a visa card was stolen",
        "driver refused to stop and fled",
    ),
    *(
        "he must have run along the lane",
        "the alarm had to be switched off",
        "police required a ladder",
        "a fine was due on the car",
    ),
    *(
        "thank you for considering it",
        "please look between 18:00 and 19:30",
        "any footage of a white van helps",
        "every answer is fine",
    ),
    *("on 2026-01-31 at 18:00", "2026-01-31 18:00 to 2026-02-01 06:30", "on 31.01.2026, 01/31/2026 or 2026/01/31"),
    *(
        "between 0900-1700 and 1830 - 2030 hrs",
        "2400-2599 Main Street, 10 to 12 persons",
        "a car with the plate M-AB 1234",
    ),
    *(
        "parcel worth 1,200 @ the door",
        "house numbers 12-14, 16, 18, 20, 22",
        "on the 1 3 5 bus",
        "plate B-CD 5678, two doors",
    ),
    *(
        "seen at Main Street. Then gone",
        "at dusk, dot-shaped marks on the wall",
        "two of five wheels, one or two persons",
    ),
    *(
        "one two three go was shouted",
        "phone stolen",
        "a mobile home was broken into",
        "mail boxes broken open",
        "the victim is well",
    ),
    *(
        "Einbruch in ein Wohnhaus",
        "Diebstahl eines Fahrrads",
        "Zeugen gesucht: Unfall mit Flucht",
        "Straße am Bach, Höhe Nr. 12",
    ),
    *(
        "die evangelische Kirche, protestantisches Gemeindehaus",
        "Sachbeschädigung an drei Autos",
        "gelbes Fahrrad, Größe 28",
    ),
    *(
        "robo en una tienda",
        "hurto de bicicleta",
        "daños en un coche, calle Mayor 5",
        "niño desaparecido, chaqueta azul",
    ),
    *(
        "cambriolage d'une maison",
        "vol de vélo rue de l'Église",
        "délit de fuite, voiture rouge",
        "enfant disparu, veste bleue",
    ),
    *(
        "кража велосипеда",
        "盗難された自転車",
        "سرقة دراجة",
        "κλοπή ποδηλάτου",
        "👮 stolen 🚲 near 🌳",
        "naïve façade, café Zoë",
        "smørrebrød stand",
    ),
    *(
        "Łódź street, Žižkov corner",
        "œuvre d'art volée",
        "½ of the fence is gone",
        "35 °C, 2 m² of glass, 5 € taken",
        "the “Red Lion” inn",
    ),
    *(
        "reassembly of the engine was under way",
        "general store",
        "the assemblage of parts",
        "demolished wall",
        "marching band’s drum stolen",
    ),
)
"""Honest texts, some of which hold such words: none is refused."""
