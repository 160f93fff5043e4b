"""What a text for neighbours may say: a corpus of what passes, and of what is refused by which rule."""

import pytest

from disguises import HIDING
from pipeline.errors import RequestRefused
from pipeline.neighbourhood.wording import check_said, describes, tells_an_act

FINE = (
    "My mother, 81, tall, grey hair, blue coat, is missing since noon",
    "Someone broke into our garage on Elm Street last night, bikes were taken",
    "Lost cat, black with white paws, near the park. She answers to Minka",
    "Thank you to the woman who returned my wallet!",
    "Block party on Saturday from 14:00 to 18:00, everybody is welcome",
    "Kids are playing in the street, please drive slowly",
    "Power is out in the 1200 block of Elm Street since 9 pm",
    "5 cars on Elm Street had their tyres slashed",
    "Found: a set of keys with a red ring on 5th Avenue",
    "3 packages were stolen from porches on Oak Road, Nov 24",
    "Mein Fahrrad wurde gestern in der Elmstraße gestohlen",
    "Anoche robaron tres coches en la calle Mayor",
    "On a volé mon vélo rue des Lilas hier soir",
    "COVID19 tests are free at the library, open 10-16",
    "Water main burst at the corner of 5th and Pine, 3 inches of water",
    "The 14 bus does not stop here until May 2026",
    "Fire engine 52 and ladder 7 were here at 11:45",
    "A loud bang at 23:10, maybe fireworks? 20 minutes later another",
    "Coyote seen 2 times this week, keep cats inside",
    "Tree fell on the road, 2 lanes closed, 500 m north of the school",
    "Is anybody else without internet since 7:30 this morning?",
    "2 men and a van dumped rubbish by the canal",
    "It happened on 2026-11-24 between 02:00 and 04:30",
)
DESCRIBED = (
    "A man in a grey hoodie smashed the window of a car on Harbour Road at 02:30",
    "Two young men tried car doors along Mill Lane at 3 am, on camera",
    "Our car was broken into last night. A tall woman in a red coat was on camera",
    "Ein Mann mit Kapuze hat gestern ein Fahrrad gestohlen",
    "Un hombre con gorra robó un bolso ayer",
    "Un homme avec une capuche a volé un sac",
)
PERSON = (
    "Suspicious black male walking down Elm Street",
    "There is a man in a grey hoodie walking his dog",
    "Two Mexicans sitting in a car, what do they want",
    "Sketchy guy by the bus stop, watch out",
    "A tall white man with a beard looked at our house",
    "Who is the woman in the hijab over there?",
    "Homeless man sleeping in the park again",
    "He doesn't belong here, dark skin, looked like he might have stolen something",
    "An asian man was standing there and has not stolen anything yet",
    "Young guys in hoodies, probably going to break in",
    "A hooded man entered the park",
    "Ein südländischer Mann stand vor dem Haus",
    "Verdächtige Person mit Kapuze gesehen",
    "Un hombre negro con gorra caminando por aquí",
    "Un homme noir avec une casquette dans la rue",
    "Un homme louche, il n'a rien volé",
)
PLACES = (
    "Burglary at 14 Elm Street last night",
    "Burglary at 14b elm st",
    "Break-in, 1200 N. Main St",
    "They live at fourteen Elm Street",
    "Einbruch in der Elmstraße 14",
    "Einbruch Hauptstr. 7a",
    "Robo en Calle Mayor 14",
    "Vol au 12 rue de la Paix",
    "apartment 5b had a leak",
    "It was the house number 22",
    "14 Rose Close had a fire",
    "100 5th Avenue, smoke",
    "Brand bij Kerkstraat 12",
)
PLATES = (
    "white van, plate AB12 CDE took off",
    "he drove off, 7ABC123",
    "Kennzeichen M-AB 1234 flüchtete",
    "car with reg ab12cde",
    "1234 BCD blue Seat",
    "AB-123-CD Renault",
    "ABC 1234 was parked there",
    "licence plate starts with XK 7",
)
REACHED = ("call me on 206-555-0100", "mail me at jo@example.org", "five five five oh one zero zero nine")
LINKS = ("https://evil.example/x", "my site is evil.com", "www.example.org has more")
POINTS = ("see 52.370216, 4.895168", "it is at ///filled.count.soap", "52°22'12\" N", "plus code 9F46XC2V+9Q")


@pytest.mark.parametrize("said", FINE)
def test_what_neighbours_tell_each_other_passes_unmarked(said: str) -> None:
    assert check_said(said, of_resident=True) == ()


@pytest.mark.parametrize("said", DESCRIBED)
def test_a_description_with_an_act_passes_and_a_reviewer_sees_a_mark(said: str) -> None:
    assert any("describes a person" in mark for mark in check_said(said, of_resident=True))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (rule, said)
        for rule, corpus in (
            ("person", PERSON), ("address", PLACES), ("plate", PLATES), ("personal data", REACHED), ("link", LINKS),
            ("coordinates", POINTS),
        )
        for said in corpus
    ],
)  # fmt: skip
def test_each_rule_refuses_its_corpus(rule: str, said: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        check_said(said, of_resident=True)
    assert caught.value.rule == rule


# Misspelled so far that no reader is sure of the word either, or that half of all texts would be refused.
BEYOND = {
    *("drawn out", "backwards", "turned round for the eye", "letters exchanged", "a letter too many", "no vowels"),
    *("a letter short", "a star", "inside another", "with a number"),
}


@pytest.mark.parametrize("how", sorted(set(HIDING) - BEYOND))
def test_a_description_in_disguise_is_one(how: str) -> None:
    assert describes(f"a {HIDING[how]('suspicious')} {HIDING[how]('stranger')} walks by")


@pytest.mark.parametrize(
    "said",
    ["he might steal it", "nobody stole it", "didn't break in, has not stolen anything", "looks like he broke in"],
)
def test_what_was_not_done_is_no_act(said: str) -> None:
    assert not tells_an_act(said)


def test_an_agencys_notice_may_name_a_house_and_a_plate_and_no_telephone() -> None:
    assert check_said("Gas leak at 14 Elm Street; a lorry AB12 CDE blocks the road", of_resident=False) == ()
    with pytest.raises(RequestRefused, match="personal data"):
        check_said("Call 206-555-0100", of_resident=False)


def test_letters_that_the_rules_have_no_words_in_are_marked() -> None:
    assert check_said("подозрительный человек", of_resident=True)


def test_the_longest_text_is_read_at_once() -> None:
    """Each list is looked for in one pass: word by word it took seconds."""
    assert check_said("wort " * 400, of_resident=True) == ()
