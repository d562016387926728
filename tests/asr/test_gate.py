"""What the gate takes for a fault, what it tries then, and which attempt it takes. Numbers only: no model, no sound."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift.asr.audit import Fault, How
from avskrift.asr.gate import (
    BASE,
    MAX_ATTEMPTS,
    MAX_HOPELESS_ATTEMPTS,
    Measures,
    choose,
    faults_of,
    is_doubtful,
    most_attempts,
    next_remedy,
    thresholds_for,
)

#: Half a minute of ordinary speech.
FINE = Measures(
    tokens=90,
    speech_s=28.0,
    repeated_tokens=0,
    compression=1.5,
    log_probability=-0.3,
    no_speech_probability=0.02,
    language="sv",
    uncovered_s=0.8,
)
LOST = replace(FINE, tokens=40, uncovered_s=14.0)
LOOPED = replace(FINE, tokens=224, repeated_tokens=180, compression=9.0, log_probability=-0.12)
UNBELIEVED = replace(FINE, log_probability=-1.5)
ENGLISH = replace(FINE, heard=("en", 0.97))
NOISE = replace(FINE, tokens=4, log_probability=-1.9, no_speech_probability=0.9, uncovered_s=None)

EVERYTHING = frozenset(How)


@dataclass(frozen=True)
class Attempt:
    how: How
    measures: Measures

    @property
    def faults(self) -> tuple[Fault, ...]:
        return faults_of(self.measures, BASE)


def tried(*measures: Measures) -> list[Attempt]:
    ways = (How.FIRST, How.WINDOWS, How.TIMESTAMPS, How.BEAM)
    return [Attempt(how, of) for how, of in zip(ways, measures, strict=False)]


def remedies(measures: Measures) -> list[How]:
    """All that is tried with a chunk that always comes out like this."""
    attempts = [Attempt(How.FIRST, measures)]
    while how := next_remedy(attempts, EVERYTHING):
        attempts.append(Attempt(how, measures))
    return [attempt.how for attempt in attempts[1:]]


def test_ordinary_text_passes() -> None:
    assert faults_of(FINE, BASE) == ()


def test_lost_text_is_found_however_sure_the_model_is() -> None:
    """Seen on real Swedish: two thirds of the words lost at a log-probability of -0.33."""
    assert faults_of(replace(LOST, log_probability=-0.33), BASE) == (Fault.UNCOVERED,)


def test_lost_text_is_found_without_alignment_where_hardly_anything_is_left() -> None:
    assert faults_of(replace(LOST, tokens=25, uncovered_s=None), BASE) == (Fault.FEW_TOKENS,)


def test_half_lost_text_is_in_doubt_until_it_is_aligned() -> None:
    unaligned = replace(LOST, uncovered_s=None)
    assert faults_of(unaligned, BASE) == ()
    assert is_doubtful(unaligned, BASE)
    assert not is_doubtful(FINE, BASE)


def test_two_words_in_a_short_chunk_are_enough() -> None:
    assert faults_of(replace(FINE, tokens=2, speech_s=1.9, uncovered_s=0.9), BASE) == ()


def test_no_text_at_all_in_long_speech_is_a_fault() -> None:
    assert Fault.FEW_TOKENS in faults_of(replace(FINE, tokens=0, log_probability=-0.01, uncovered_s=28.0), BASE)


def test_a_loop_is_found_however_sure_the_model_is() -> None:
    assert faults_of(LOOPED, BASE) == (Fault.LOOP,)
    assert faults_of(replace(LOOPED, repeated_tokens=0), BASE) == (Fault.LOOP,)
    assert faults_of(replace(LOOPED, compression=1.2), BASE) == (Fault.LOOP,)


@pytest.mark.parametrize("probability", [0.6, 0.9, 1.0])
def test_probably_no_speech_is_no_fault_by_itself(probability: float) -> None:
    assert faults_of(replace(FINE, no_speech_probability=probability), BASE) == ()


def test_probably_no_speech_with_a_text_nobody_believes_is_dropped_at_once() -> None:
    assert faults_of(NOISE, BASE)[0] is Fault.NO_SPEECH
    assert remedies(NOISE) == []


def test_probably_no_speech_with_hardly_any_text_is_dropped() -> None:
    """Silence is heard as "you", at -0.49."""
    assert Fault.NO_SPEECH in faults_of(replace(NOISE, tokens=1, log_probability=-0.49), BASE)
    assert Fault.NO_SPEECH not in faults_of(replace(NOISE, tokens=1, log_probability=-0.49, speech_s=1.0), BASE)


def test_another_language_is_a_fault_only_where_it_is_clear() -> None:
    assert faults_of(ENGLISH, BASE) == (Fault.LANGUAGE,)
    assert faults_of(replace(FINE, heard=("en", 0.79)), BASE) == ()
    assert faults_of(replace(FINE, heard=("sv", 0.99)), BASE) == ()


@pytest.mark.parametrize("spoken", ["no", "nn", "da"])
def test_neighbours_are_never_taken_for_one_another(spoken: str) -> None:
    assert faults_of(replace(FINE, heard=(spoken, 0.99)), BASE) == ()
    assert faults_of(replace(FINE, language=spoken, heard=("sv", 0.99)), BASE) == ()


def test_every_cause_has_its_remedies_in_order() -> None:
    assert remedies(LOST) == [How.WINDOWS, How.TIMESTAMPS]
    assert remedies(LOOPED) == [How.WINDOWS, How.NO_REPEAT]
    assert remedies(UNBELIEVED) == [How.BEAM]
    assert remedies(ENGLISH) == [How.LANGUAGE]
    assert remedies(FINE) == []


def test_the_remedy_follows_what_is_wrong_now() -> None:
    """The halves ended the loop and lost a part: what comes next is for coverage."""
    attempts = tried(LOOPED, LOST)
    assert next_remedy(attempts, EVERYTHING) is How.TIMESTAMPS


def test_an_attempt_that_passes_ends_the_search() -> None:
    assert next_remedy(tried(LOST, FINE), EVERYTHING) is None


def test_what_cannot_be_done_with_a_chunk_is_passed_over() -> None:
    assert next_remedy(tried(LOOPED), EVERYTHING - {How.WINDOWS}) is How.NO_REPEAT
    assert next_remedy(tried(UNBELIEVED), EVERYTHING - {How.BEAM}) is None


def test_a_covered_text_is_taken_before_a_likely_one() -> None:
    assert choose(tried(LOST, replace(FINE, log_probability=-1.1))) == 1


def test_a_text_without_a_loop_is_taken_before_a_likely_one() -> None:
    assert choose(tried(LOOPED, replace(FINE, log_probability=-1.1))) == 1


def test_of_two_lossy_texts_the_one_that_covers_more_is_taken() -> None:
    assert choose(tried(LOST, replace(LOST, uncovered_s=5.0, log_probability=-0.9))) == 1


def test_of_two_texts_without_faults_the_likelier_is_taken() -> None:
    assert choose(tried(replace(FINE, log_probability=-0.5), FINE)) == 1


def test_of_equals_the_first_is_taken() -> None:
    assert choose(tried(FINE, FINE, FINE)) == 0


def test_noise_is_rather_dropped_than_given_as_a_loop() -> None:
    assert choose(tried(replace(LOOPED, no_speech_probability=0.9), NOISE)) == 1


measures = st.builds(
    Measures,
    tokens=st.integers(0, 448),
    speech_s=st.floats(0, 30),
    repeated_tokens=st.integers(0, 400),
    compression=st.floats(0, 50),
    log_probability=st.floats(-5, 0),
    no_speech_probability=st.floats(0, 1),
    language=st.sampled_from(["sv", "en"]),
    uncovered_s=st.none() | st.floats(0, 30),
    heard=st.none() | st.tuples(st.sampled_from(["sv", "en", "no"]), st.floats(0, 1)),
)


@given(st.lists(measures, min_size=20, max_size=20))
def test_a_hopeless_chunk_costs_a_bounded_number_of_attempts(outcomes: list[Measures]) -> None:
    """Whatever the attempts give: never one twice, and never more than the bound."""
    attempts = [Attempt(How.FIRST, outcomes[0])]
    for outcome in outcomes[1:]:
        how = next_remedy(attempts, EVERYTHING)
        if how is None:
            break
        attempts.append(Attempt(how, outcome))
    assert len(attempts) <= MAX_ATTEMPTS
    assert len({attempt.how for attempt in attempts}) == len(attempts)


def test_where_most_of_a_batch_fails_each_chunk_has_one_retry() -> None:
    assert most_attempts(tried(LOOPED, LOST, LOOPED, FINE)) == MAX_HOPELESS_ATTEMPTS
    assert most_attempts(tried(LOOPED, LOST, FINE, FINE)) == MAX_ATTEMPTS
    assert next_remedy(tried(LOOPED, LOOPED), EVERYTHING, MAX_HOPELESS_ATTEMPTS) is None


def test_one_chunk_by_itself_is_no_hopeless_recording() -> None:
    assert most_attempts(tried(LOOPED)) == MAX_ATTEMPTS


def test_noise_between_speech_says_nothing_about_the_speech() -> None:
    assert most_attempts(tried(NOISE, NOISE, NOISE, LOOPED)) == MAX_ATTEMPTS


@given(st.lists(measures, min_size=1, max_size=4))
def test_a_text_without_faults_is_never_left_for_a_loop_or_a_loss(outcomes: list[Measures]) -> None:
    attempts = tried(*outcomes)
    taken = attempts[choose(attempts)]
    if any(not attempt.faults for attempt in attempts):
        assert not set(taken.faults) & {Fault.LOOP, Fault.LANGUAGE, Fault.FEW_TOKENS, Fault.UNCOVERED}


def test_a_model_that_was_not_measured_says_so() -> None:
    assert thresholds_for("base") is BASE
    other = thresholds_for("somebody/some-model")
    assert "not measured" in other.source
    assert replace(other, source=BASE.source) == BASE
