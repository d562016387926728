"""Marks that follow the voice, for any words."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from avskrift.formats.cues import Cue, Fragment, Line
from avskrift.formats.highlight import MIN_MOMENT_MS, moments, shown
from tests.formats.subtitles import DIALOGUE, OFTEN, line

fragments = st.builds(
    Fragment,
    st.integers(-1000, 9000),
    st.integers(-1000, 9000),
    st.sampled_from(["ord ", "ord", " ", "", "a-b ", "– ", "🙂 ", "م "]),
)
lines = st.builds(Line, st.lists(fragments, min_size=1, max_size=8).map(tuple), st.sampled_from([None, "s1", "s2"]))
cues = st.builds(
    lambda start_ms, length_ms, lines: Cue(start_ms, start_ms + length_ms, tuple(lines)),
    st.integers(0, 5000),
    st.integers(1, 7000),
    st.lists(lines, min_size=1, max_size=3),
)
paces = st.sampled_from([1, MIN_MOMENT_MS, 250])


@OFTEN
@given(cues, paces)
def test_moments_fill_the_cue(cue: Cue, min_moment_ms: int) -> None:
    found = moments(cue, min_moment_ms)
    assert (found[0].start_ms, found[-1].end_ms) == (cue.start_ms, cue.end_ms)
    assert all(left.end_ms == right.start_ms for left, right in pairwise(found))
    assert all(left.marked != right.marked for left, right in pairwise(found))


@OFTEN
@given(cues, paces)
def test_no_mark_moves_faster_than_it_may(cue: Cue, min_moment_ms: int) -> None:
    found = moments(cue, min_moment_ms)
    assert len(found) == 1 or all(moment.end_ms - moment.start_ms >= min_moment_ms for moment in found)


@OFTEN
@given(cues, paces)
def test_every_word_is_marked(cue: Cue, min_moment_ms: int) -> None:
    marked = set().union(*(moment.marked for moment in moments(cue, min_moment_ms)))
    words = {
        (row, column)
        for row, line in enumerate(cue.lines)
        for column, fragment in enumerate(line.fragments)
        if fragment.text.strip()
    }
    assert marked == words


@OFTEN
@given(cues)
def test_every_moment_has_the_whole_text(cue: Cue) -> None:
    for moment in shown([cue], highlight_words=True):
        assert "\n".join("".join(run.text for run in line.runs) for line in moment.lines) == cue.text
        assert [line.speaker for line in moment.lines] == [line.speaker for line in cue.lines]


def test_a_word_is_marked_from_its_beginning_to_its_end() -> None:
    cue = Cue(1000, 4000, (line((1200, 1800, "ett "), (2500, 3000, "två")),))
    assert [(moment.start_ms, moment.end_ms, set(moment.marked)) for moment in moments(cue)] == [
        (1000, 1200, set()),
        (1200, 1800, {(0, 0)}),
        (1800, 2500, set()),
        (2500, 3000, {(0, 1)}),
        (3000, 4000, set()),
    ]


def test_a_short_word_keeps_its_mark_until_it_is_seen() -> None:
    cue = Cue(0, 2000, (line((0, 600, "ett "), (600, 660, "i "), (660, 1200, "två "), (1200, 2000, "tre")),))
    assert [(moment.start_ms, set(moment.marked)) for moment in moments(cue)] == [
        (0, {(0, 0)}),
        (600, {(0, 1)}),
        (700, {(0, 2)}),
        (1200, {(0, 3)}),
    ]


def test_words_spoken_at_once_are_marked_together() -> None:
    first, *_ = DIALOGUE
    both = Cue(0, 2000, (line((0, 1500, "- Ja."), speaker="s1"), line((500, 2000, "- Nej."), speaker="s2")))
    assert [set(moment.marked) for moment in moments(both)] == [{(0, 0)}, {(0, 0), (1, 0)}, {(1, 0)}]
    assert [set(moment.marked) for moment in moments(first)] == [{(0, 0)}, {(1, 0)}, set()]
