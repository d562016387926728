"""Where speech is: Silero VAD over a stream, holding no more than the speech that is going on.

The same spans as faster-whisper finds in a whole file (its ``get_speech_timestamps``; Silero's algorithm, MIT), because
the network's state and the algorithm's are carried from block to block. Times are sample numbers of the recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from faster_whisper.vad import get_vad_model

from avskrift.audio import SAMPLE_RATE_HZ, Samples

MAX_SPAN_S = 30.0
MIN_SILENCE_MS = 160
#: Silence kept on each side of speech, or half of it where two spans share less.
PADDING_MS = 400

SPEECH_PROBABILITY = 0.5
#: Speech that has begun goes on until the probability falls below this.
SILENCE_PROBABILITY = 0.35
#: A pause of this length is good enough to cut at when speech gets too long for a span.
_CUT_SILENCE_MS = 98

_SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1000
WINDOW_SAMPLES = 512
_CONTEXT = 64
STATE_SHAPE = (1, 1, 128)
_PADDING = PADDING_MS * _SAMPLES_PER_MS
_MIN_SILENCE = MIN_SILENCE_MS * _SAMPLES_PER_MS
_CUT_SILENCE = _CUT_SILENCE_MS * _SAMPLES_PER_MS
_MAX_SPEECH = round(MAX_SPAN_S * SAMPLE_RATE_HZ) - WINDOW_SAMPLES - 2 * _PADDING

#: Where something begins and ends in the recording, in samples; the end is the first sample behind it.
Bounds = tuple[int, int]


@dataclass(frozen=True, eq=False)
class SpeechSpan:
    """A stretch of speech: ``samples`` begin at sample ``start`` of the recording."""

    start: int
    samples: Samples

    @property
    def end(self) -> int:
        return self.start + len(self.samples)

    @property
    def bounds(self) -> Bounds:
        return self.start, self.end


def speech_spans(blocks: Iterable[Samples]) -> Iterator[SpeechSpan]:
    """The speech of a recording that arrives in blocks, in order; no spans overlap or exceed ``MAX_SPAN_S``."""
    finder = SpeechFinder()
    for block in blocks:
        yield from finder.hear(block)
    yield from finder.finish()


class SpeechFinder:
    """Finds speech block by block. Between two blocks its ``state`` may be taken and another go on from there.

    ``tape`` holds the samples within ``state.tape_bounds``.
    """

    def __init__(self, state: SpeechState | None = None, tape: Samples | None = None) -> None:
        state = state or SpeechState()
        tape = np.zeros(0, np.float32) if tape is None else tape
        self._network = _Network(state, tape)
        self._turns = state.turns.copy()
        self._tape = _Tape(state.tape_bounds[0], tape)

    def hear(self, block: Samples) -> list[SpeechSpan]:
        """The spans whose end is known since this block, in order."""
        self._tape.append(block)
        self._turns.hear(self._network.probabilities(block))
        spans = [self._tape.cut(start, end) for start, end in self._turns.finished()]
        self._tape.forget_before(self._turns.needed_from())
        return spans

    def finish(self) -> list[SpeechSpan]:
        """The last spans, when the recording has ended."""
        self._turns.hear(self._network.last_probability())
        return [self._tape.cut(start, end) for start, end in self._turns.rest(self._tape.end)]

    def state(self) -> SpeechState:
        return SpeechState(self._tape.end, *self._network.state, self._turns.copy())


class _Network:
    """Silero's recurrent network: one probability of speech for each window of 32 ms."""

    def __init__(self, state: SpeechState, tape: Samples) -> None:
        self._session = get_vad_model().session
        self.state = (state.hidden, state.cell)
        full = len(tape) - (state.heard - state.turns.position)
        self._context = tape[:full][-_CONTEXT:] if full else np.zeros(_CONTEXT, np.float32)
        self._waiting = tape[full:]

    def probabilities(self, block: Samples) -> list[float]:
        """Those of the windows that are full by now."""
        audio = np.concatenate([self._waiting, block])
        full = len(audio) // WINDOW_SAMPLES
        self._waiting = audio[full * WINDOW_SAMPLES :]
        if not full:
            return []
        windows = audio[: full * WINDOW_SAMPLES].reshape(full, WINDOW_SAMPLES)
        before = np.concatenate([self._context[None], windows[:-1, -_CONTEXT:]])
        self._context = windows[-1, -_CONTEXT:]
        hidden, cell = self.state
        output, hidden, cell = self._session.run(None, {"input": np.hstack([before, windows]), "h": hidden, "c": cell})
        self.state = (hidden, cell)
        return [float(probability) for probability in output.reshape(-1)]

    def last_probability(self) -> list[float]:
        """That of the window which the recording's end left unfilled."""
        return self.probabilities(np.zeros(WINDOW_SAMPLES - len(self._waiting), np.float32))


@dataclass
class Turns:
    """Probabilities to turns of speech, and how much silence each keeps around it."""

    position: int = 0
    """Where the next window begins."""
    open_from: int | None = None
    """Where the speech that is going on began."""
    quiet_from: int = 0
    """Where the pause within it began; 0 outside a pause."""
    cut_at: int = 0
    """The last pause in it that is long enough to cut at; 0 where there was none."""
    resumed_at: int = 0
    """Where it went on after that pause."""
    closed: list[tuple[int, int]] = field(default_factory=list)
    """Turns that wait to know how much silence follows them."""
    previous_end: int | None = None
    """Where the turn before the first closed one ended."""

    def copy(self) -> Turns:
        return replace(self, closed=list(self.closed))

    def hear(self, probabilities: Iterable[float]) -> None:
        for probability in probabilities:
            self._hear_one(probability)
            self.position += WINDOW_SAMPLES

    def finished(self) -> Iterator[tuple[int, int]]:
        """Turns with their padding, once it is known; each is given out once."""
        while self.closed:
            end = self.closed[0][1]
            following = self.closed[1][0] if len(self.closed) > 1 else self.open_from
            if following is None and self.position - end < 2 * _PADDING:
                return
            yield self._pad_first(following)

    def rest(self, length: int) -> Iterator[tuple[int, int]]:
        """What is left when the recording has ended after ``length`` samples."""
        if self.open_from is not None and length > self.open_from:
            self._close(length)
        while self.closed:
            following = self.closed[1][0] if len(self.closed) > 1 else None
            start, end = self._pad_first(following)
            yield start, min(end, length)

    def needed_from(self) -> int:
        """The sample before which nothing can become part of a turn any more."""
        start = self.closed[0][0] if self.closed else self.open_from
        return max(0, (self.position if start is None else start) - _PADDING)

    def _pad_first(self, following: int | None) -> tuple[int, int]:
        start, end = self.closed.pop(0)
        before = _PADDING if self.previous_end is None else min(_PADDING, (start - self.previous_end) // 2)
        after = _PADDING if following is None else min(_PADDING, (following - end) // 2)
        self.previous_end = end
        return max(0, start - before), end + after

    def _hear_one(self, probability: float) -> None:
        if probability >= SPEECH_PROBABILITY:
            self._resume()
            if self.open_from is None:
                self.open_from = self.position
                return
        if self.open_from is not None and self.position - self.open_from > _MAX_SPEECH and self._cut_long_turn():
            return
        if self.open_from is not None and probability < SILENCE_PROBABILITY:
            self._be_quiet()

    def _resume(self) -> None:
        if self.quiet_from:
            self.quiet_from = 0
            if self.resumed_at < self.cut_at:
                self.resumed_at = self.position

    def _cut_long_turn(self) -> bool:
        """Close a turn that fills a span: at its last pause, else right here. Whether this window is done with."""
        resumed_at, cut_at = self.resumed_at, self.cut_at
        self._close(cut_at or self.position)
        if cut_at and resumed_at >= cut_at:
            self.open_from = resumed_at
        return not cut_at

    def _be_quiet(self) -> None:
        self.quiet_from = self.quiet_from or self.position
        if self.position - self.quiet_from > _CUT_SILENCE:
            self.cut_at = self.quiet_from
        if self.position - self.quiet_from >= _MIN_SILENCE:
            self._close(self.quiet_from)

    def _close(self, end: int) -> None:
        if self.open_from is not None and end > self.open_from:
            self.closed.append((self.open_from, end))
        self.open_from = None
        self.quiet_from = self.cut_at = self.resumed_at = 0


def _zeros() -> Samples:
    return np.zeros(STATE_SHAPE, np.float32)


@dataclass(frozen=True, eq=False)
class SpeechState:
    """All that a :class:`SpeechFinder` knows between two blocks, but for the samples within ``tape_bounds``."""

    heard: int = 0
    """Samples of the recording so far."""
    hidden: Samples = field(default_factory=_zeros)
    cell: Samples = field(default_factory=_zeros)
    """The network's recurrent state, each float32 of ``STATE_SHAPE``."""
    turns: Turns = field(default_factory=Turns)

    @property
    def tape_bounds(self) -> Bounds:
        """The stretch that may still become part of a span; the network's context lies within."""
        return self.turns.needed_from(), self.heard


class _Tape:
    """The stretch of the recording that may still become part of a span."""

    def __init__(self, start: int, samples: Samples) -> None:
        self._start = start
        self._samples = samples

    @property
    def end(self) -> int:
        return self._start + len(self._samples)

    def append(self, block: Samples) -> None:
        self._samples = np.concatenate([self._samples, block])

    def cut(self, start: int, end: int) -> SpeechSpan:
        """A copy: a view would keep the whole tape in memory for a second of speech."""
        return SpeechSpan(start, self._samples[start - self._start : end - self._start].copy())

    def forget_before(self, position: int) -> None:
        self._samples = self._samples[max(0, position - self._start) :]
        self._start = max(self._start, position)
