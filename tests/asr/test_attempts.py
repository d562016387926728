"""Batches through the gate with a scripted model: what is tried again, with whom, from what, and what is taken."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from avskrift.asr.attempts import decode_batch
from avskrift.asr.audit import Fault, How
from avskrift.asr.decoded import AlignedWord, DecodedChunk
from avskrift.asr.gate import MAX_ATTEMPTS
from avskrift.asr.options import TranscribeOptions
from avskrift.asr.packing import Chunk
from avskrift.asr.task import Task
from avskrift.asr.vad import SpeechSpan
from avskrift.asr.whisper import Generated, Generation
from avskrift.audio import SAMPLE_RATE_HZ
from avskrift.errors import Cancelled

LANGUAGE_TOKENS = {"sv": 1, "en": 2}
SWEDISH = TranscribeOptions(language="sv")


@dataclass(frozen=True)
class Said:
    """What the scripted model says of a window."""

    tokens_per_s: float = 3.0
    log_probability: float = -0.3
    no_speech_probability: float = 0.02
    loops: bool = False
    covers: float = 1.0
    """The share of the window that its words lie in."""

    def tokens(self, duration_s: float) -> tuple[int, ...]:
        count = max(1, round(self.tokens_per_s * duration_s))
        first = round(100 * duration_s)  # of its own for each half: the same twice would be a loop
        return (7,) * count if self.loops else tuple(range(first, first + count))


FINE = Said()
LOST = Said(tokens_per_s=1.5, covers=0.3)
LOOP = Said(tokens_per_s=7.0, loops=True, log_probability=-0.12)
UNBELIEVED = Said(log_probability=-1.6)
NOISE = Said(tokens_per_s=0.1, log_probability=-1.9, no_speech_probability=0.9)


def word(token: int) -> str:
    """Of a few letters, and no two alike: words that count up would compress as a loop does."""
    return " " + hashlib.sha256(str(token).encode()).hexdigest()[:4]


@dataclass(frozen=True)
class Window:
    voice: int
    duration_s: float
    is_half: bool


@dataclass(frozen=True)
class Encoded:
    windows: tuple[Window, ...]

    @property
    def durations_s(self) -> tuple[float, ...]:
        return tuple(window.duration_s for window in self.windows)

    def select(self, rows: Sequence[int]) -> Encoded:
        return Encoded(tuple(self.windows[row] for row in rows))


@dataclass(frozen=True)
class Tokenizer:
    """A word a token."""

    language: str
    eot: int = 99_999
    no_timestamps: int = 99_998
    sot_prev: int = 99_997

    @property
    def sot_sequence(self) -> list[int]:
        return [0, LANGUAGE_TOKENS[self.language]]

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(map(word, tokens))

    def split_to_word_tokens(self, tokens: Sequence[int]) -> tuple[list[str], list[list[int]]]:
        return [word(token) for token in tokens], [[token] for token in tokens]


@dataclass
class ScriptedWhisper:
    """A chunk's samples all have one value, its voice; ``script`` says what becomes of a voice in which attempt."""

    script: dict[tuple[int, How], Said] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=lambda: {"sv": 1.0})
    generated: list[tuple[How, list[int]]] = field(default_factory=list)
    aligned: list[list[int]] = field(default_factory=list)
    encodings: int = 0
    after_generation: threading.Event = field(default_factory=threading.Event)
    asked_for_language: int = 0
    is_multilingual: bool = True

    def tokenizer(self, language: str, task: str) -> Tokenizer:
        return Tokenizer(language)

    def encode(self, windows: Sequence[Any]) -> Encoded:
        self.encodings += 1
        return Encoded(
            tuple(Window(int(one[0]), len(one) / SAMPLE_RATE_HZ, is_half=self.encodings > 1) for one in windows)
        )

    def generate(self, encoded: Encoded, prompts: Sequence[Sequence[int]], how: Generation) -> list[Generated]:
        assert len(prompts) == len(encoded.windows)
        way = self._way(encoded, prompts, how)
        self.generated.append((way, [window.voice for window in encoded.windows]))
        self.after_generation.set()
        lines = [(self.script.get((window.voice, way), FINE), window.duration_s) for window in encoded.windows]
        return [
            Generated(line.tokens(duration_s), line.log_probability, line.no_speech_probability)
            for line, duration_s in lines
        ]

    def align(
        self, encoded: Encoded, tokenizer: Tokenizer, tokens: Sequence[Sequence[int]]
    ) -> list[tuple[AlignedWord, ...]]:
        self.aligned.append([window.voice for window in encoded.windows])
        return [self._spread(window, said) for window, said in zip(encoded.windows, tokens, strict=True)]

    def language_probabilities(self, encoded: Encoded) -> list[dict[str, float]]:
        self.asked_for_language += len(encoded.windows)
        return [self.heard for _ in encoded.windows]

    def _way(self, encoded: Encoded, prompts: Sequence[Sequence[int]], how: Generation) -> How:
        if encoded.windows[0].is_half:
            return How.WINDOWS
        if how.timestamps:
            return How.TIMESTAMPS
        if how.no_repeat_tokens:
            return How.NO_REPEAT
        if how.beam_size == 5:
            return How.BEAM
        return How.LANGUAGE if self.generated and LANGUAGE_TOKENS["en"] in prompts[0] else How.FIRST

    def _spread(self, window: Window, tokens: Sequence[int]) -> tuple[AlignedWord, ...]:
        ways = [line for (voice, _), line in self.script.items() if voice == window.voice]
        lost = next((line for line in ways if line.tokens(window.duration_s) == tuple(tokens)), FINE)
        each_s = window.duration_s * lost.covers / max(1, len(tokens))
        return tuple(AlignedWord(word(it), at * each_s, (at + 1) * each_s, 0.9) for at, it in enumerate(tokens))


def chunk(voice: int, duration_s: float = 28.0) -> Chunk:
    samples = np.full(round(duration_s * SAMPLE_RATE_HZ), voice, np.float32)
    return Chunk((SpeechSpan(voice * 100 * SAMPLE_RATE_HZ, samples),))


def decode(
    whisper: ScriptedWhisper, chunks: Sequence[Chunk], options: TranscribeOptions = SWEDISH
) -> list[DecodedChunk]:
    model: Any = whisper
    return decode_batch(model, chunks, Task(options, "sv", (), threading.Event()))


def ways(decoded: DecodedChunk) -> list[How]:
    return [attempt.how for attempt in decoded.audit.attempts]


def test_what_passes_is_decoded_once() -> None:
    whisper = ScriptedWhisper()
    decoded = decode(whisper, [chunk(1), chunk(2)])
    assert whisper.generated == [(How.FIRST, [1, 2])]
    assert whisper.encodings == 1
    assert all(one.audit.passed_at_once and one.words for one in decoded)


def test_the_chunks_that_need_the_same_are_tried_again_together() -> None:
    whisper = ScriptedWhisper({(2, How.FIRST): LOST, (3, How.FIRST): UNBELIEVED, (4, How.FIRST): LOST})
    decoded = decode(whisper, [chunk(voice) for voice in (1, 2, 3, 4)])
    assert whisper.generated == [
        (How.FIRST, [1, 2, 3, 4]),
        (How.WINDOWS, [2, 2, 4, 4]),
        (How.BEAM, [3]),
    ]
    assert [ways(one)[1:] for one in decoded] == [[], [How.WINDOWS], [How.BEAM], [How.WINDOWS]]
    assert not any(one.audit.taken.faults for one in decoded)


def test_only_halves_are_encoded_again() -> None:
    whisper = ScriptedWhisper({(1, How.FIRST): UNBELIEVED})
    decode(whisper, [chunk(1)])
    assert whisper.encodings == 1


def test_halves_never_make_a_bigger_batch_than_the_chunks_did() -> None:
    whisper = ScriptedWhisper({(voice, How.FIRST): LOST for voice in (1, 2, 3, 4)})
    decode(whisper, [chunk(voice) for voice in (1, 2, 3, 4)])
    assert max(len(voices) for _, voices in whisper.generated) == 4


def test_the_words_of_halves_lie_on_the_chunks_clock() -> None:
    whisper = ScriptedWhisper({(1, How.FIRST): LOST})
    [decoded] = decode(whisper, [chunk(1)])
    starts = [word.start_s for word in decoded.words]
    assert decoded.audit.taken.how is How.WINDOWS
    assert starts == sorted(starts)
    assert decoded.words[-1].end_s == pytest.approx(28.0)
    assert len(decoded.words) == decoded.audit.taken.tokens


def test_a_short_chunk_is_never_halved() -> None:
    whisper = ScriptedWhisper({(1, How.FIRST): LOOP})
    [decoded] = decode(whisper, [chunk(1, 2.9)])
    assert ways(decoded) == [How.FIRST, How.NO_REPEAT]


def test_the_next_remedy_is_tried_where_the_first_did_not_help() -> None:
    whisper = ScriptedWhisper({(1, How.FIRST): LOOP, (1, How.WINDOWS): LOOP})
    [decoded] = decode(whisper, [chunk(1)])
    assert ways(decoded) == [How.FIRST, How.WINDOWS, How.NO_REPEAT]
    assert decoded.audit.taken.how is How.NO_REPEAT


def test_a_recording_in_which_most_fails_is_not_tried_a_third_time() -> None:
    whisper = ScriptedWhisper({(voice, how): LOOP for voice in (1, 2, 3) for how in How})
    decoded = decode(whisper, [chunk(voice) for voice in (1, 2, 3, 4)])
    assert [len(one.audit.attempts) for one in decoded] == [2, 2, 2, 1]


def test_the_words_of_a_loop_are_not_aligned() -> None:
    whisper = ScriptedWhisper({(1, how): LOOP for how in How})
    [decoded] = decode(whisper, [chunk(1)])
    assert whisper.aligned == []
    assert decoded.words


@pytest.mark.parametrize("outcome", [LOST, LOOP, UNBELIEVED], ids=["lost", "loop", "unbelieved"])
def test_a_hopeless_chunk_ends_with_its_best_attempt_and_its_fault(outcome: Said) -> None:
    whisper = ScriptedWhisper({(1, how): outcome for how in How})
    [decoded] = decode(whisper, [chunk(1)])
    assert len(decoded.audit.attempts) <= MAX_ATTEMPTS
    assert decoded.audit.taken.faults
    assert decoded.words


def test_a_beam_that_was_asked_for_is_no_remedy() -> None:
    whisper = ScriptedWhisper({(1, how): UNBELIEVED for how in How})
    [decoded] = decode(whisper, [chunk(1)], TranscribeOptions(language="sv", beam_size=5))
    assert len(decoded.audit.attempts) == 1


def test_the_text_of_noise_is_dropped_and_stays_in_the_audit() -> None:
    whisper = ScriptedWhisper({(2, How.FIRST): NOISE})
    spoken, noise = decode(whisper, [chunk(1), chunk(2)])
    assert spoken.words
    assert noise.words == ()
    assert Fault.NO_SPEECH in noise.audit.taken.faults
    assert noise.audit.taken.tokens > 0
    assert whisper.aligned == [[1]]


def test_another_language_is_decoded_in_that_language() -> None:
    whisper = ScriptedWhisper({(1, How.FIRST): UNBELIEVED}, heard={"en": 0.95, "sv": 0.02})
    [decoded] = decode(whisper, [chunk(1)], TranscribeOptions())
    assert ways(decoded) == [How.FIRST, How.LANGUAGE]
    assert decoded.language == "en"


def test_what_is_tried_after_another_language_was_found_is_tried_in_that_language() -> None:
    whisper = ScriptedWhisper({(1, How.FIRST): UNBELIEVED, (1, How.LANGUAGE): LOST}, heard={"en": 0.95, "sv": 0.02})
    [decoded] = decode(whisper, [chunk(1)], TranscribeOptions())
    assert ways(decoded) == [How.FIRST, How.LANGUAGE, How.WINDOWS]
    assert [attempt.language for attempt in decoded.audit.attempts] == ["sv", "en", "en"]
    assert decoded.language == "en"


def test_a_neighbouring_language_is_left_alone() -> None:
    whisper = ScriptedWhisper({(1, How.FIRST): UNBELIEVED}, heard={"no": 0.95, "sv": 0.02})
    [decoded] = decode(whisper, [chunk(1)], TranscribeOptions())
    assert decoded.language == "sv"
    assert How.LANGUAGE not in ways(decoded)


def test_a_language_that_was_given_is_never_doubted() -> None:
    whisper = ScriptedWhisper({(1, How.FIRST): UNBELIEVED}, heard={"en": 0.95, "sv": 0.02})
    [decoded] = decode(whisper, [chunk(1)])
    assert whisper.asked_for_language == 0
    assert decoded.language == "sv"


def test_a_text_nobody_doubts_is_not_listened_to_for_its_language() -> None:
    whisper = ScriptedWhisper(heard={"en": 0.95})
    decode(whisper, [chunk(1)], TranscribeOptions())
    assert whisper.asked_for_language == 0


def test_without_word_times_only_doubtful_texts_are_aligned() -> None:
    whisper = ScriptedWhisper({(2, How.FIRST): LOST})
    fine, mended = decode(whisper, [chunk(1), chunk(2)], TranscribeOptions(language="sv", words=False))
    assert whisper.aligned == [[2], [2, 2]]
    assert fine.audit.taken.uncovered_s is None
    assert fine.words
    assert ways(mended) == [How.FIRST, How.WINDOWS]


def test_a_translation_is_not_held_to_its_alignment() -> None:
    """Words in another order than they are spoken in say nothing about coverage."""
    whisper = ScriptedWhisper({(1, How.FIRST): LOST})
    [decoded] = decode(whisper, [chunk(1)], TranscribeOptions(language="sv", task="translate"))
    assert decoded.audit.taken.uncovered_s is None
    assert len(decoded.audit.attempts) == 1


def test_cancel_is_heard_between_attempts() -> None:
    whisper = ScriptedWhisper({(1, How.FIRST): LOST})
    model: Any = whisper
    with pytest.raises(Cancelled):
        decode_batch(model, [chunk(1)], Task(SWEDISH, "sv", (), whisper.after_generation))
    assert [how for how, _ in whisper.generated] == [How.FIRST]
