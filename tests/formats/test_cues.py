"""What holds for the cues of any transcript, and how ordinary ones look."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift.formats import cues as cue_building
from avskrift.formats.cues import Cue, clock, line_width
from avskrift.formats.pieces import to_ms
from avskrift.formats.plain_text import plain
from avskrift.formats.presets import PRESETS, CueRules, rules_for
from avskrift.transcript import Segment, Transcript, Word

LINGER_S = 0.5
SILENCE_S = 1.0
DEFAULT = PRESETS["default"]

texts = st.one_of(
    st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=12),
    st.sampled_from(
        ["hej,", "slut.", "-->", "<b>", "a&b", "👩‍👩‍👧", "مرحبا", "1", "Donaudampfschifffahrtsgesellschaft"]
    ),
)
hostile_texts = st.one_of(
    texts,
    st.text(max_size=20),
    st.sampled_from(
        [
            "",
            " ",
            "\x00",
            "\ud800",
            "a\u2028b",
            "\ufeff",
            "två ord",
            "今日は天気がいいですね。",
            "]]>",
            "{\\an8}",
            "x" * 500,
        ]
    ),
)
hostile_times = st.one_of(
    st.floats(-10, 100), st.floats(), st.sampled_from([0.0, math.nan, math.inf, -math.inf, 59.9996, 1e308, 36_000.0])
)
rules = st.builds(
    lambda preset, width, lines, words: rules_for(
        preset, max_line_width=width, max_lines=lines, max_words_per_cue=words
    ),
    st.sampled_from(list(PRESETS)),
    st.none() | st.integers(10, 60),
    st.none() | st.integers(1, 3),
    st.none() | st.integers(1, 8),
)


@st.composite
def spoken_words(draw: st.DrawFn) -> list[Word]:
    """Words in order: some without length, some touching, some minutes apart."""
    words, at_s = [], draw(st.floats(0, 36_000))
    for text in draw(st.lists(texts, min_size=1, max_size=60)):
        at_s += draw(st.sampled_from([0.0, 0.0, 0.001, 0.05, 0.3, 0.99, 1.5, 120.0]))
        length_s = draw(st.sampled_from([0.0, 0.001, 0.2, 0.5, 1.3, 9.0]))
        words.append(Word(at_s, at_s + length_s, text))
        at_s += length_s
    return words


@st.composite
def hostile_segments(draw: st.DrawFn) -> Segment:
    """Whatever a file could hold: times of any kind, words that are not those of the text."""
    spoken = draw(st.lists(st.builds(Word, hostile_times, hostile_times, hostile_texts), max_size=12))
    text = draw(st.one_of(hostile_texts, st.just(" ".join(word.text for word in spoken))))
    speaker = draw(st.sampled_from([None, "a", "b"]))
    return Segment(
        draw(hostile_times), draw(hostile_times), text, tuple(spoken), speaker, draw(st.none() | st.just("hi"))
    )


def build_cues(transcript: Transcript, rules: CueRules = DEFAULT) -> list[Cue]:
    return cue_building.build_cues(transcript, rules)


def lines_of(cue: Cue) -> tuple[str, ...]:
    return tuple(line.text for line in cue.lines)


def transcript_of(*segments: Segment, language: str = "sv") -> Transcript:
    end_s = max((segment.end_s for segment in segments), default=0.0)
    return Transcript(language, end_s + 1, end_s, "test", segments)


def segment_of(words: list[Word], joint: str = " ") -> Segment:
    return Segment(words[0].start_s, words[-1].end_s, joint.join(word.text for word in words), tuple(words))


def sentence(text: str, start_s: float = 0.0, per_word_s: float = 0.4, speaker: str | None = None) -> Segment:
    words = [
        Word(start_s + n * per_word_s, start_s + (n + 1) * per_word_s, word) for n, word in enumerate(text.split())
    ]
    return replace(segment_of(words), speaker=speaker)


def shown_text(cues: list[Cue], dash: str = "-") -> str:
    """All that is on the screen, without spaces, and without the dashes of cues in which two speak."""
    lines = []
    for cue in cues:
        two_speak = len({line.speaker for line in cue.lines}) == 2
        lines += [line.text[len(dash) :] if two_speak else line.text for line in cue.lines]
    return "".join("".join(lines).split())


@given(spoken_words(), rules)
def test_cues_are_in_order_apart_and_not_too_long(words: list[Word], rules: CueRules) -> None:
    cues = build_cues(transcript_of(segment_of(words)), rules)
    assert all(0 < cue.end_ms - cue.start_ms <= to_ms(rules.max_cue_s) for cue in cues)
    assert all(left.end_ms <= right.start_ms for left, right in pairwise(cues))


@given(spoken_words(), st.sampled_from([" ", ""]), rules)
def test_every_word_is_shown_once_and_in_order(words: list[Word], joint: str, rules: CueRules) -> None:
    segment = segment_of(words, joint)
    assert shown_text(build_cues(transcript_of(segment), rules)) == segment.text.replace(" ", "")


@given(spoken_words(), rules)
def test_no_cue_reaches_over_a_silence_or_stays_in_it(words: list[Word], rules: CueRules) -> None:
    cues = build_cues(transcript_of(segment_of(words)), rules)
    for left, right in pairwise(words):
        if right.start_s - left.end_s > SILENCE_S:
            quiet_from, quiet_to = to_ms(left.end_s + LINGER_S) + len(words), to_ms(right.start_s)
            assert not any(cue.start_ms < quiet_to and cue.end_ms > quiet_from for cue in cues)


@st.composite
def conversations(draw: st.DrawFn) -> list[Segment]:
    """Segments of two speakers in order of time, who often speak at once."""
    segments, at_s = [], 0.0
    for _ in range(draw(st.integers(1, 8))):
        words, at_word_s = [], at_s
        for text in draw(st.lists(texts, min_size=1, max_size=8)):
            length_s = draw(st.sampled_from([0.05, 0.3, 0.6]))
            words.append(Word(at_word_s, at_word_s + length_s, text))
            at_word_s += length_s + draw(st.sampled_from([0.0, 0.0, 0.4, 2.0]))
        segments.append(replace(segment_of(words), speaker=draw(st.sampled_from(["a", "b"]))))
        at_s = draw(st.sampled_from([at_s + 0.2, words[-1].end_s, words[-1].end_s + 1.5]))
    return segments


@given(conversations(), rules)
def test_no_cue_is_shown_in_a_silence_that_all_keep(segments: list[Segment], rules: CueRules) -> None:
    words = sorted((word for segment in segments for word in segment.words), key=lambda word: word.start_s)
    cues = build_cues(transcript_of(*segments), rules)
    said_until_s = words[0].end_s
    for word in words:
        if word.start_s - said_until_s > SILENCE_S:
            quiet_from, quiet_to = to_ms(said_until_s + LINGER_S) + len(words), to_ms(word.start_s)
            assert not any(cue.start_ms < quiet_to and cue.end_ms > quiet_from for cue in cues)
        said_until_s = max(said_until_s, word.end_s)


@given(conversations(), rules)
def test_a_line_is_one_speakers_and_a_dash_stands_only_where_two_share_a_cue(
    segments: list[Segment], rules: CueRules
) -> None:
    for cue in build_cues(transcript_of(*segments), rules):
        speakers = [line.speaker for line in cue.lines]
        assert len(set(speakers)) == 1 or (len(speakers) == 2 and all(line.text[0] == "-" for line in cue.lines))
        spoken = "".join(word.text for segment in segments for word in segment.words if segment.speaker == speakers[0])
        assert all(fragment.text.strip().removeprefix("-") in spoken for fragment in cue.lines[0].fragments)


@given(spoken_words(), rules)
def test_lines_are_clean_and_no_more_than_allowed(words: list[Word], rules: CueRules) -> None:
    for cue in build_cues(transcript_of(segment_of(words)), rules):
        assert 1 <= len(lines_of(cue)) <= rules.max_lines
        assert all(line == " ".join(line.split()) and line for line in lines_of(cue))
        assert rules.max_words is None or sum(len(line.fragments) for line in cue.lines) <= rules.max_words


@given(spoken_words(), rules)
def test_a_line_is_too_wide_only_where_a_single_word_is(words: list[Word], rules: CueRules) -> None:
    for cue in build_cues(transcript_of(segment_of(words)), rules):
        for line in cue.lines:
            assert line_width(line) <= rules.max_line_characters or len(line.fragments) == 1


@given(st.lists(hostile_segments(), max_size=8), hostile_times, rules)
def test_whatever_comes_in_no_text_is_lost_and_cues_stay_in_order_within_the_recording(
    segments: list[Segment], duration_s: float, rules: CueRules
) -> None:
    cues = build_cues(Transcript("sv", duration_s, 1.0, "test", tuple(segments)), rules)
    assert sorted(shown_text(cues)) == sorted("".join("".join(_texts(segments)).split()))
    assert all(0 < cue.end_ms - cue.start_ms <= to_ms(rules.max_cue_s) for cue in cues)
    assert all(left.end_ms <= right.start_ms for left, right in pairwise(cues))
    if cues and 0 < duration_s < math.inf:
        assert cues[-1].end_ms <= max(to_ms(duration_s), len(cues))


@given(st.lists(hostile_segments(), max_size=8), rules)
def test_words_are_marked_within_their_cue_and_in_order(segments: list[Segment], rules: CueRules) -> None:
    for cue in build_cues(Transcript("sv", 100.0, 1.0, "test", tuple(segments)), rules):
        fragments = [fragment for line in cue.lines for fragment in line.fragments]
        times = [at for fragment in fragments for at in (fragment.start_ms, fragment.end_ms)]
        assert cue.start_ms <= min(times) <= max(times) <= cue.end_ms
        assert all(fragment.start_ms <= fragment.end_ms for fragment in fragments)
        assert all(left.start_ms <= right.start_ms for left, right in pairwise(fragments))


@given(st.text(max_size=300), st.floats(0, 1000), st.floats(0, 100))
def test_a_segment_without_words_is_spread_over_its_time(text: str, start_s: float, length_s: float) -> None:
    cues = build_cues(transcript_of(Segment(start_s, start_s + length_s, text)))
    assert all(lines_of(cue) for cue in cues)
    assert all(left.end_ms <= right.start_ms for left, right in pairwise(cues))
    assert all(cue.end_ms - cue.start_ms <= to_ms(DEFAULT.max_cue_s) for cue in cues)


def _texts(segments: list[Segment]) -> list[str]:
    """What each segment says: its text, or its words where it has none."""
    return [plain(segment.text) or " ".join(plain(word.text) for word in segment.words) for segment in segments]


def test_times_are_rounded_once_and_carry() -> None:
    assert clock(to_ms(59.9996), ",") == "00:01:00,000"
    assert clock(to_ms(3599.9995), ".") == "01:00:00.000"
    assert clock(to_ms(100 * 3600 + 0.0014), ",") == "100:00:00,001"


def test_a_short_sentence_is_one_cue_on_one_line() -> None:
    (cue,) = build_cues(transcript_of(sentence("Vi åker till Malmö på fredag.")))
    assert lines_of(cue) == ("Vi åker till Malmö på fredag.",)
    assert (cue.start_ms, cue.end_ms) == (0, 2400)


def test_a_pause_within_a_segment_cuts_the_cue() -> None:
    words = [Word(0, 0.5, "One"), Word(0.6, 1.0, "two"), Word(2.1, 2.5, "three.")]
    assert [lines_of(cue) for cue in build_cues(transcript_of(segment_of(words)))] == [("One two",), ("three.",)]


def test_overlapping_segments_become_cues_that_do_not_overlap() -> None:
    first, second = sentence("They talk at once here.", 0.0), sentence("And so do they.", 0.9)
    cues = build_cues(transcript_of(second, first))
    assert all(left.end_ms <= right.start_ms for left, right in pairwise(cues))
    assert [lines_of(cue)[0][:4] for cue in cues] == ["They", "And "]


@pytest.mark.parametrize("preset", PRESETS)
def test_silence_has_no_cues(preset: str) -> None:
    assert build_cues(Transcript(None, 5.0, 0.0, "base"), PRESETS[preset]) == []
    assert build_cues(transcript_of(Segment(0, 5, " \n\x00")), PRESETS[preset]) == []


def test_four_thousand_words_without_a_pause_are_cues_all_the_same() -> None:
    segment = sentence("och " * 4000, per_word_s=0.3)
    cues = build_cues(transcript_of(segment))
    assert sum(len(line.fragments) for cue in cues for line in cue.lines) == 4000
    assert all(left.end_ms < right.start_ms for left, right in pairwise(cues))
    assert all(line_width(line) <= 42 for cue in cues for line in cue.lines)


def test_a_thousand_words_at_once_share_the_time_there_is() -> None:
    words = [Word(5.0, 5.0, "ord")] * 1000
    cues = build_cues(transcript_of(segment_of(words)))
    assert 5000 <= cues[0].start_ms <= cues[-1].end_ms <= 6000
    assert sum(len(line.fragments) for cue in cues for line in cue.lines) == 1000


def test_after_a_hundred_hours_milliseconds_still_count() -> None:
    words = [Word(360_000.0004, 360_000.5, "hundra"), Word(360_000.5, 360_001.2346, "timmar.")]
    (cue,) = build_cues(transcript_of(segment_of(words)))
    assert (clock(cue.start_ms, ","), clock(cue.end_ms, ",")) == ("100:00:00,000", "100:00:01,235")


def test_a_word_longer_than_a_cue_may_last_ends_with_it() -> None:
    (cue,) = build_cues(transcript_of(segment_of([Word(1.0, 20.0, "Aaaaa!")])))
    assert (cue.start_ms, cue.end_ms) == (1000, 8000)


def test_a_fast_cue_stays_into_the_pause_but_not_beyond_half_a_second() -> None:
    fast = sentence("Det här sade hon mycket fortare än någon hinner läsa.", 1.0, per_word_s=0.15)
    (cue,) = build_cues(transcript_of(fast))
    assert cue.end_ms == to_ms(fast.end_s + LINGER_S)


def test_a_pause_too_short_to_see_is_closed_down_to_the_gap() -> None:
    first = sentence("Först var det en mening som tog sin tid.", 0.0)
    cues = build_cues(transcript_of(first, sentence("Sedan kom det en till som var lika lång.", first.end_s + 0.3)))
    assert [right.start_ms - left.end_ms for left, right in pairwise(cues)] == [80]


def test_two_who_talk_at_once_share_the_time() -> None:
    one = sentence("Jag har faktiskt inte sagt det du påstår att jag har sagt.", 0.0, speaker="a")
    other = sentence("Jag hörde det alldeles tydligt på radion i går kväll.", 0.4, speaker="b")
    first, second = build_cues(transcript_of(one, other))
    speeds = [sum(map(line_width, cue.lines)) * 1000 / (cue.end_ms - cue.start_ms) for cue in (first, second)]
    assert second.start_ms < to_ms(one.end_s)
    assert max(speeds) < 1.2 * min(speeds)


def test_who_waits_for_another_is_not_shown_before_speaking() -> None:
    one = sentence("Jag tycker att vi skulle ha gjort det här för länge sedan,", 0.0, speaker="a")
    other = Segment(one.end_s - 0.1, one.end_s + 0.2, "Mm.", (Word(one.end_s - 0.1, one.end_s + 0.2, "Mm."),), "b")
    on = sentence("men det är som det är och nu gör vi det bästa av det.", one.end_s + 0.3, speaker="a")
    murmur = next(cue for cue in build_cues(transcript_of(one, other, on)) if lines_of(cue) == ("Mm.",))
    assert murmur.start_ms == to_ms(one.end_s - 0.1)
