"""What is reported to an editor, and that nothing is where all is well."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift.formats import check
from avskrift.formats.cues import Cue, Fragment, Line, build_cues
from avskrift.formats.presets import PRESETS, CueRules, rules_for
from avskrift.transcript import Segment, Transcript, Word

DEFAULT = PRESETS["default"]


def cue_of(start_ms: int, end_ms: int, *lines: str, speakers: tuple[str, ...] = ()) -> Cue:
    named = speakers or (None,) * len(lines)
    return Cue(
        start_ms,
        end_ms,
        tuple(Line((Fragment(start_ms, end_ms, text),), speaker) for text, speaker in zip(lines, named, strict=True)),
    )


def rules_missed(*cues: Cue, rules: CueRules = DEFAULT) -> list[tuple[int, str]]:
    return [(finding.cue, finding.rule) for finding in check.find(cues, rules)]


def test_a_good_cue_has_no_findings() -> None:
    assert rules_missed(cue_of(0, 2500, "Vi åker till Malmö på fredag."), cue_of(2580, 4000, "Kommer du med?")) == []


@pytest.mark.parametrize(
    ("cue", "rule"),
    [
        (cue_of(0, 1000, "Vi åker till Malmö på fredag."), "speed"),
        (cue_of(0, 832, "Ja."), "duration"),
        (cue_of(0, 7001, "Ja."), "duration"),
        (cue_of(0, 4000, "Vi åker till Malmö på fredag, sa han till mig."), "line_width"),
        (cue_of(0, 4000, "Vi", "åker till", "Malmö på fredag."), "lines"),
        (cue_of(0, 4000, "Vi åker till Malmö på", "fredag."), "balance"),
    ],
)
def test_each_rule_that_is_missed_is_found_alone(cue: Cue, rule: str) -> None:
    assert rules_missed(cue) == [(1, rule)]


def test_cues_too_close_or_over_each_other_are_found_at_the_first() -> None:
    assert rules_missed(cue_of(0, 1000, "Ja."), cue_of(1079, 2000, "Nej.")) == [(1, "gap")]
    assert rules_missed(cue_of(0, 1500, "Ja."), cue_of(1000, 2000, "Nej.")) == [(1, "gap")]


def test_words_count_only_where_they_are_limited() -> None:
    cue = cue_of(0, 3000, "Vi åker till Malmö")
    assert rules_missed(cue) == []
    assert rules_missed(cue, rules=rules_for("default", max_words_per_cue=3)) == [(1, "words")]


def test_a_short_answer_of_another_speaker_is_no_lone_word() -> None:
    assert rules_missed(cue_of(0, 3000, "-Kommer du på fredag?", "-Ja.", speakers=("a", "b"))) == []
    assert rules_missed(cue_of(0, 3000, "-Kommer du på fredag?", "-Ja.")) == []


def test_limits_themselves_are_allowed() -> None:
    assert rules_missed(cue_of(0, 2000, "x" * 34), cue_of(2080, 2913, "Ja."), cue_of(9000, 16_000, "y" * 42)) == []


def test_the_message_says_what_to_do() -> None:
    (finding,) = check.find([cue_of(61_000, 62_000, "Vi åker till Malmö på fredag.")], DEFAULT)
    assert (finding.cue, finding.start_ms) == (1, 61_000)
    assert finding.message == "29.0 characters per second, at most 17: shorten it by 12 or show it 0.7 s longer."


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 900), st.integers(0, 900)), min_size=1, max_size=40))
def test_built_cues_miss_only_what_their_words_leave_no_room_for(spoken: list[tuple[int, int, int]]) -> None:
    """Width, lines and overlap can always be had where no word is wider than a line."""
    words, at_s = [], 0.0
    for letters, length_ms, pause_ms in spoken:
        words.append(Word(at_s, at_s + length_ms / 1000, "o" * letters))
        at_s += (length_ms + pause_ms) / 1000
    segment = Segment(0.0, at_s, " ".join(word.text for word in words), tuple(words))
    cues = build_cues(Transcript("sv", at_s + 1, at_s, "test", (segment,)), DEFAULT)
    assert {finding.rule for finding in check.find(cues, DEFAULT)} <= {"speed", "duration", "gap", "balance"}
