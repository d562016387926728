"""What ``scripts/gate`` plants, and what it concludes from what was caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avskrift.asr.audit import How
from avskrift.asr.decoded import AlignedWord
from avskrift.asr.gate import BASE, Measures, faults_of
from avskrift.asr.loops import longest_loop
from avskrift.asr.packing import Chunk
from avskrift.asr.takes import Take
from avskrift.asr.vad import SpeechSpan
from avskrift.audio import SAMPLE_RATE_HZ, Samples
from bench.gate import plants
from bench.gate.markdown import measures_table, thresholds_table, whole_gate
from bench.gate.material import GOOD, Case
from bench.gate.rates import KNOBS, Setting, proposed, rates, settings
from bench.gate.trial import Outcome

WORDS = [[word] for word in range(60)]
FINE = Measures(90, 28.0, 0, 1.5, -0.3, 0.02, "sv", 0.8)
LOST = replace(FINE, tokens=30, uncovered_s=15.0)


def voice(seconds: float = 2.0) -> Samples:
    at_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return np.asarray(0.3 * np.sin(2 * np.pi * 200 * at_s) * (at_s < 1), np.float32)


def outcome(kind: str, *measures: Measures) -> Outcome:
    chunk = Chunk((SpeechSpan(0, voice()),))
    ways = (How.FIRST, How.WINDOWS, How.TIMESTAMPS)
    words = (AlignedWord(" ord", 0.0, 0.5, 0.9),)
    takes = [Take(how, of, faults_of(of, BASE), words) for how, of in zip(ways, measures, strict=False)]
    return Outcome(Case(kind, "one", chunk, "sv"), tuple(takes))


def test_lost_text_is_two_thirds_of_the_words() -> None:
    assert len(plants.lost_middle(WORDS)) == len(plants.lost_end(WORDS)) == 20
    assert plants.lost_middle(WORDS)[-1] == 59
    assert plants.lost_end(WORDS)[-1] == 19


@pytest.mark.parametrize("spoil", [plants.looped, plants.stuck])
def test_a_planted_loop_is_one(spoil: object) -> None:
    assert callable(spoil)
    assert longest_loop(spoil(WORDS)).repeated > BASE.repeated_tokens


def test_drowned_speech_has_five_decibels_less_power_than_the_noise() -> None:
    """Told by the quiet half, which is noise alone: scaling leaves the ratio."""
    drowned = plants.under_noise(voice())
    loud, quiet = (float(np.mean(half**2)) for half in np.split(drowned, 2))
    speech_over_all = (loud - quiet) / 2
    assert 10 * np.log10(speech_over_all / quiet) == pytest.approx(plants.SNR_DB, abs=0.5)


def test_double_speed_halves_the_samples_and_doubles_the_pitch() -> None:
    fast = plants.double_speed(voice())
    spectrum = np.abs(np.fft.rfft(fast[: SAMPLE_RATE_HZ // 2]))
    assert len(fast) == SAMPLE_RATE_HZ
    assert 2 * int(np.argmax(spectrum)) == 400


def test_what_is_planted_is_the_same_each_time() -> None:
    once, again = (list(plants.without_speech()) for _ in range(2))
    assert [kind for kind, _ in once] == [kind for kind, _ in again]
    assert all(np.array_equal(one, other) for (_, one), (_, other) in zip(once, again, strict=True))


def test_rates_tell_what_was_caught_and_what_was_mended() -> None:
    found = rates("lost", [outcome("lost", LOST, FINE), outcome("lost", LOST, LOST, LOST), outcome("lost", FINE)])
    assert (found.cases, found.caught, found.mended, found.silenced) == (3, 2, 1, 0)
    assert found.attempts == 2.0


def test_a_threshold_is_proposed_for_what_it_catches_less_its_false_alarms() -> None:
    assert proposed([Setting(1.0, 0.9, 0.2), Setting(2.0, 0.8, 0.0), Setting(3.0, 0.5, 0.0)]).value == 2.0


def test_a_stricter_threshold_never_catches_less() -> None:
    outcomes = [outcome("lost middle", replace(LOST, tokens=tokens)) for tokens in (15, 25, 40, 60, 90)]
    [knob] = [knob for knob in KNOBS if knob.name == "tokens_per_s"]
    caught = [setting.caught for setting in settings(knob, outcomes)]
    assert caught == sorted(caught)
    assert caught[-1] > caught[0]


def test_the_tables_name_every_kind_and_every_flagged_chunk() -> None:
    outcomes = [outcome(GOOD, FINE), outcome(GOOD, LOST, FINE), outcome("lost end", LOST, FINE)]
    table = "\n".join(measures_table(outcomes))
    assert "| good | 2 | 50% | 50% | – |" in table
    assert "| lost end | 1 |" in table
    told = "\n".join(whole_gate(outcomes))
    assert "1 of 1 planted" in told
    assert "1 of 2 other" in told
    assert len(list(thresholds_table(outcomes, BASE))) == 2 + len(KNOBS)
