"""Where cues and lines are broken, as a subtitler would: sentences as examples, read line by line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avskrift.formats.cues import Cue, build_cues
from avskrift.formats.line_breaks import (
    BETWEEN_WORDS,
    COMMA,
    CONJUNCTION,
    HELD,
    PREPOSITION,
    SENTENCE,
    WITHIN_WORD,
    break_cost,
)
from avskrift.formats.presets import PRESETS, rules_for
from avskrift.transcript import Segment, Transcript, Word

PER_CHARACTER_S = 0.065
"""About 2.5 Swedish words a second."""


def said(text: str, start_s: float = 0.0, speaker: str | None = None, pace: float = 1.0) -> Segment:
    """A segment spoken at an even pace."""
    words, at_s = [], start_s
    for word in text.split():
        end_s = at_s + (len(word) + 1) * PER_CHARACTER_S / pace
        words.append(Word(at_s, end_s, word))
        at_s = end_s
    return Segment(start_s, at_s, text, tuple(words), speaker)


def shown(*segments: Segment, preset: str = "default", language: str = "sv") -> list[list[str]]:
    transcript = Transcript(language, segments[-1].end_s + 2, 1.0, "test", segments)
    return [cue.text.split("\n") for cue in build_cues(transcript, PRESETS[preset])]


def cues_of(*segments: Segment, preset: str = "default") -> list[Cue]:
    return build_cues(Transcript("sv", segments[-1].end_s + 2, 1.0, "test", segments), PRESETS[preset])


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Det som är speciellt är att de följer samma personer hela tiden.", 2),
        ("Du har precis kommit hem från en resa till Norge igen.", 2),
        ("Vi vet att människor ofta överskattar sin aktivitet.", 2),
        ("Tack för att du kom hit i kväll.", 1),
    ],
)
def test_a_sentence_that_fits_is_one_cue(text: str, lines: int) -> None:
    (cue,) = shown(said(text))
    assert len(cue) == lines
    assert " ".join(cue) == text


@pytest.mark.parametrize(
    ("text", "upper"),
    [
        ("Du har precis kommit hem från en resa till Norge.", "Du har precis kommit hem"),
        ("Man måste komma ihåg att detta är en liten studie.", "Man måste komma ihåg"),
        ("Vetenskapsrådet har lovat dem 12 miljoner kronor till.", "Vetenskapsrådet har lovat dem"),
        ("I går kväll träffade vi professor Lars Johansson.", "I går kväll"),
        ("Om vi väntar blir det dyrare, det har vi sett förut.", "Om vi väntar blir det dyrare,"),
        ("Det kostar ungefär 3 000 kronor om du köper två.", "Det kostar ungefär 3 000 kronor"),
        ("Vi har tittat på det nya huset som de byggde.", "Vi har tittat på det nya huset"),
    ],
)
def test_swedish_lines_end_where_a_clause_or_phrase_does(text: str, upper: str) -> None:
    assert shown(said(text))[0][0] == upper


@pytest.mark.parametrize(
    ("text", "upper"),
    [
        ("My guest tonight has spent fifteen years in Sweden.", "My guest tonight has spent"),
        ("They say that children learn faster than adults do.", "They say"),
        ("I met Dr. Helen Carter when she lived in London.", "I met Dr. Helen Carter"),
        ("The bridge is almost 1,200 meters long and very old.", "The bridge is almost 1,200 meters long"),
    ],
)
def test_english_lines_end_where_a_clause_or_phrase_does(text: str, upper: str) -> None:
    assert shown(said(text), language="en")[0][0].startswith(upper)


def test_hindi_keeps_postpositions_with_their_noun_and_breaks_before_conjunctions() -> None:
    ((upper, lower),) = shown(said("मुझे लगता है कि हमारे स्कूल के सभी बच्चे आज बहुत ख़ुश हैं।"), language="hi")
    assert upper.endswith("है")
    assert lower.startswith("कि")


def test_a_segment_in_another_language_is_broken_by_its_own_words() -> None:
    foreign = replace(said("I met him in London when he was still very young."), language="en")
    assert shown(foreign, language="sv")[0][1].startswith("when")


def test_a_long_sentence_is_cut_after_a_comma() -> None:
    text = "When the train from Gothenburg finally arrived that evening, nobody was waiting on the platform any more."
    first, second = shown(said(text), language="en")
    assert first[-1].endswith("evening,")
    assert second[0].startswith("nobody")


def test_a_sentence_that_segments_tear_apart_is_shown_whole() -> None:
    first = said("Vi åker tillsammans hem igen")
    cues = shown(first, said("till Malmö på fredag.", first.end_s))
    assert cues == [["Vi åker tillsammans hem igen", "till Malmö på fredag."]]


def test_a_name_that_segments_tear_apart_stays_together() -> None:
    first = said("I could not help watching your face with some anxiety when Mr.")
    cues = shown(first, said("Thornton made his confession of having been a shopboy.", first.end_s), language="en")
    assert any("Mr. Thornton" in line for cue in cues for line in cue)


def test_sentences_without_full_stops_are_told_apart_by_segment_and_capital() -> None:
    first = said("Jag kommer från Stockholm Jag tycker att det är väldigt bra")
    cues = shown(first, said("Vi åker till Malmö i morgon bitti", first.end_s))
    assert [cue[0].split()[0] for cue in cues] == ["Jag", "Jag", "Vi"]


def test_each_sentence_has_its_own_cue_where_it_lasts() -> None:
    first = said("Vi har samlat in data från tre tusen personer.")
    cues = shown(first, said("Nu börjar resultaten äntligen att komma.", first.end_s + 0.3))
    assert [cue[0].split()[0] for cue in cues] == ["Vi", "Nu"]


def test_a_sentence_too_short_to_read_joins_its_neighbour() -> None:
    first = said("Ja.")
    assert shown(first, said("Det tycker jag också.", first.end_s)) == [["Ja. Det tycker jag också."]]


def test_an_abbreviation_ends_no_sentence() -> None:
    text = (
        "Det finns skillnader mellan olika grupper av människor, t.ex. mellan yngre och äldre, men mönstret är tydligt."
    )
    assert not any(cue[-1].endswith("t.ex.") for cue in shown(said(text)))


@pytest.mark.parametrize("preset", PRESETS)
def test_the_lower_line_is_never_a_lone_word_where_it_can_be_helped(preset: str) -> None:
    text = "De har samlat in data från mer än tusen olika personer under tio år och resultaten börjar nu komma " * 5
    for cue in shown(said(text), preset=preset):
        assert len(cue) == 1 or len(cue[1].split()) > 1


def test_the_upper_line_is_rather_the_shorter() -> None:
    ((upper, lower),) = shown(said("ena orden andra orden tredje orden fjärde orden femte orden"))
    assert len(upper) <= len(lower)


def test_a_quick_answer_shares_the_cue_with_a_dash_for_each() -> None:
    question = said("Kommer du på fredag?", speaker="a")
    cues = cues_of(question, said("Ja.", question.end_s + 0.1, speaker="b"))
    assert [[line.text for line in cue.lines] for cue in cues] == [["-Kommer du på fredag?", "-Ja."]]
    assert [line.speaker for line in cues[0].lines] == ["a", "b"]


def test_speakers_who_have_time_enough_get_cues_of_their_own() -> None:
    question = said("Vad tycker du egentligen om det här förslaget?", speaker="a")
    cues = cues_of(question, said("Jag har faktiskt inte läst det ordentligt.", question.end_s + 0.2, speaker="b"))
    assert [len({line.speaker for line in cue.lines}) for cue in cues] == [1, 1]


def test_nobody_is_cut_off_to_share_a_cue() -> None:
    long = said(
        "Jag tycker att vi borde vänta med det här beslutet tills vi vet mer om vad det kostar kommunen", speaker="a"
    )
    cues = cues_of(long, said("Nej.", long.end_s, speaker="b"))
    assert all(len(cue.lines[0].text) > 2 for cue in cues)
    assert not any(cue.text.startswith("-") and not cue.text.startswith("-Jag tycker") for cue in cues)


def test_no_cue_has_two_speakers_where_only_one_line_is_allowed() -> None:
    question = said("Kommer du?", speaker="a")
    cues = cues_of(question, said("Ja.", question.end_s, speaker="b"), preset="vertical")
    assert [cue.text for cue in cues] == ["Kommer du?", "Ja."]


def test_who_speaks_over_another_is_shown_where_the_other_breathes() -> None:
    talk = said("Först gick vi hem, sedan åt vi middag allihop.", speaker="a")
    between = Segment(1.0, 1.2, "Mm.", (Word(1.0, 1.2, "Mm."),), "b")
    texts = [line.text.lstrip("-") for cue in cues_of(talk, between) for line in cue.lines]
    assert texts == ["Först gick vi hem,", "Mm.", "sedan åt vi middag allihop."]


def test_wide_characters_take_two_columns_and_break_anywhere_but_before_punctuation() -> None:
    cues = shown(
        Segment(0.0, 8.0, "今日はとても天気がいいですね。公園まで散歩に行きましょう。そのあとで昼ご飯を食べます。"),
        language="ja",
    )
    assert all(len(line) <= 21 for cue in cues for line in cue)
    assert not any(line.startswith(("。", "、")) for cue in cues for line in cue)


def test_at_most_so_many_words_where_that_is_asked() -> None:
    segment = said("De har samlat in data från mer än tusen personer under tio år.")
    cues = build_cues(Transcript("sv", 20.0, 1.0, "test", (segment,)), rules_for("default", max_words_per_cue=3))
    assert all(len(cue.text.split()) <= 3 for cue in cues)


def test_three_lines_only_where_two_do_not_hold_the_sentence() -> None:
    segment = said("De som rörde på sig minst en halvtimme om dagen mådde bättre och sov bättre om nätterna.", pace=1.4)
    rules = rules_for("default", max_line_width=32, max_lines=3)
    (cue,) = build_cues(Transcript("sv", 20.0, 1.0, "test", (segment,)), rules)
    assert len(cue.lines) == 3


@pytest.mark.parametrize(
    ("left", "right", "cost"),
    [
        ("slut.", "Sedan", SENTENCE),
        ("”slut.”", "Sedan", SENTENCE),
        ("hem,", "och", COMMA),
        ("hem", "och", CONJUNCTION),
        ("hem", "från", PREPOSITION),
        ("huset", "brann", BETWEEN_WORDS),
    ],
)
def test_breaks_rank_as_style_guides_rank_them(left: str, right: str, cost: float) -> None:
    assert break_cost(left, right, "sv", True) == cost


@pytest.mark.parametrize(
    ("left", "right", "language"),
    [
        ("en", "häst", "sv"),
        ("3", "000", "sv"),
        ("20", "procent", "sv"),
        ("Anna", "Svensson", "sv"),
        ("kl.", "10", "sv"),
        ("0,25", "procentenheter", "sv"),
        ("68", "kvm", "sv"),
        ("12", "juni", "sv"),
        ("maj", "2024", "sv"),
        ("sida", "12", "sv"),
        ("minus", "23", "sv"),
        ("dr", "Svensson", "sv"),
        ("von", "der", "sv"),
        ("der", "Leyen", "sv"),
        ("af", "Ugglas", "sv"),
        ("8", "p.m.", "en"),
        ("12", "gallons", "en"),
        ("May", "2024,", "en"),
        ("July", "4th", "en"),
        ("4th", "of", "en"),
        ("de", "Gaulle", "en"),
        ("$", "5", "en"),
        ("Dr.", "Carter", "en"),
        ("the", "horse", "en"),
        ("September", "Rain", "de"),
        ("स्कूल", "के", "hi"),
    ],
)
def test_what_belongs_together_is_dearer_to_part_than_ordinary_words(left: str, right: str, language: str) -> None:
    assert break_cost(left, right, language, True) > 2 * BETWEEN_WORDS


@pytest.mark.parametrize(
    ("text", "name", "language"),
    [
        ("EU-kommissionens ordförande Ursula von der Leyen träffade Ukrainas president.", "Ursula von der Leyen", "sv"),
        ("Det var generalen och presidenten Charles de Gaulle som sade det.", "Charles de Gaulle", "sv"),
        ("The composer and the painter Vincent van Gogh never met at all.", "Vincent van Gogh", "en"),
    ],
)
def test_a_name_with_particles_stays_on_a_line(text: str, name: str, language: str) -> None:
    lines = [line for cue in shown(said(text), preset="sv-broadcast", language=language) for line in cue]
    assert any(name in line for line in lines)


@pytest.mark.parametrize(
    ("text", "whole", "language"),
    [
        ("Här har vi professor Lars Erik Lundgren från Kungliga Tekniska högskolan.", "Lars Erik Lundgren", "sv"),
        ("Med oss är Siv Malm, Per Olof Enquist och Lena Ek från Umeå.", "Per Olof Enquist", "sv"),
        ("Lägenheten på 68 kvm kostar 4,2 miljoner kronor i dag.", "4,2 miljoner kronor", "sv"),
        ("The President of the United States met with Joe Biden.", "the United States", "en"),
    ],
)
def test_a_short_line_is_not_filled_at_the_price_of_a_name(text: str, whole: str, language: str) -> None:
    assert any(whole in cue[0] for cue in shown(said(text), preset="vertical", language=language))


def test_a_title_holds_a_name_and_nothing_else() -> None:
    assert break_cost("professor", "Lars", "sv", True) > 2 * BETWEEN_WORDS
    assert break_cost("professor", "i", "sv", True) == PREPOSITION


def test_a_particle_is_one_only_between_capitals() -> None:
    assert break_cost("Stockholm", "de", "sv", True) == BETWEEN_WORDS
    first = said("Alla vi som gick i skolan i Stockholm de åren minns det än.")
    assert shown(first)[0][1].startswith("i Stockholm")


def test_what_ends_a_clause_begins_no_phrase() -> None:
    assert break_cost("året", "innan.", "sv", True) > BETWEEN_WORDS
    assert break_cost("året", "innan", "sv", True) == CONJUNCTION


def test_no_break_within_a_word_and_none_dearer() -> None:
    assert break_cost("e-", "post", "sv", False) == WITHIN_WORD > HELD
