"""Where speech is: Silero VAD over a stream, holding no more than the speech that is going on.

With the default settings the same spans as faster-whisper finds in a whole file (its ``get_speech_timestamps``;
Silero's algorithm, MIT), because the network's state and the algorithm's are carried from block to block. Times are
sample numbers of the recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np
from faster_whisper.vad import get_vad_model

from avskrift.audio import SAMPLE_RATE_HZ, Samples

#: How much is taken for speech: as faster-whisper does, quiet and far voices too, or all of the recording.
Vad = Literal["default", "sensitive", "off"]

MAX_SPAN_S = 30.0
WINDOW_SAMPLES = 512
_CONTEXT = 64
STATE_SHAPE = (1, 1, 128)

_SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1000
_MAX_SPAN = round(MAX_SPAN_S * SAMPLE_RATE_HZ)
#: A pause of this length is good enough to cut at when speech gets too long for a span.
_CUT_SILENCE = 98 * _SAMPLES_PER_MS
#: No rest of a recording that nobody listens to for speech is shorter: in a word without its sentence a model hears
#: what it likes.
_MIN_REST = SAMPLE_RATE_HZ
#: How long the quiet is in which a recording is cut that nobody listens to for speech.
_QUIET = 100 * _SAMPLES_PER_MS


@dataclass(frozen=True)
class VadSettings:
    """What counts as speech, and how much is kept around it."""

    onset: float = 0.5
    """Speech begins at this probability."""
    offset: float = 0.35
    """Speech that has begun goes on until the probability falls below this."""
    min_silence_ms: int = 160
    """A pause ends speech when it lasts this long."""
    padding_ms: int = 400
    """Silence kept on each side of speech, or half of it where two spans share less."""

    @property
    def min_silence_samples(self) -> int:
        return self.min_silence_ms * _SAMPLES_PER_MS

    @property
    def padding_samples(self) -> int:
        return self.padding_ms * _SAMPLES_PER_MS

    @property
    def max_speech_samples(self) -> int:
        """With its padding this is a whole span."""
        return _MAX_SPAN - WINDOW_SAMPLES - 2 * self.padding_samples


DEFAULT = VadSettings()
SENSITIVE = VadSettings(onset=0.2, offset=0.1, min_silence_ms=300, padding_ms=600)
#: What is kept before speech whose padding is not known yet, whatever the settings.
_MOST_PADDING = max(DEFAULT.padding_samples, SENSITIVE.padding_samples)

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


class Finder(Protocol):
    """Finds what to decode, block by block."""

    def hear(self, block: Samples) -> list[SpeechSpan]:
        """The spans whose end is known since this block, in order."""

    def finish(self) -> list[SpeechSpan]:
        """The last spans, when the recording has ended."""

    def state(self) -> SpeechState:
        """All that another finder needs to go on from here, with the samples within its ``tape_bounds``."""


def speech_finder(vad: Vad = "default", state: SpeechState | None = None, tape: Samples | None = None) -> Finder:
    """From the recording's start, or from where the finder with the same ``vad`` was that gave ``state``.

    ``tape`` holds the samples within ``state.tape_bounds``.
    """
    if vad == "off":
        return UncutFinder(state, tape)
    return SpeechFinder(state, tape, SENSITIVE if vad == "sensitive" else DEFAULT)


def speech_spans(blocks: Iterable[Samples], vad: Vad = "default") -> Iterator[SpeechSpan]:
    """The speech of a recording that arrives in blocks, in order; no spans overlap or exceed ``MAX_SPAN_S``."""
    finder = speech_finder(vad)
    for block in blocks:
        yield from finder.hear(block)
    yield from finder.finish()


class SpeechFinder:
    """Finds speech by Silero's network."""

    def __init__(
        self,
        state: SpeechState | None = None,
        tape: Samples | None = None,
        settings: VadSettings = DEFAULT,
    ) -> None:
        state = state or SpeechState()
        tape = np.zeros(0, np.float32) if tape is None else tape
        self._network = _Network(state, tape)
        self._turns = _TurnFinder(state.turns.copy(), settings)
        self._tape = _Tape(state.tape_bounds[0], tape)

    def hear(self, block: Samples) -> list[SpeechSpan]:
        self._tape.append(block)
        self._turns.hear(self._network.probabilities(block))
        spans = [self._tape.cut(start, end) for start, end in self._turns.finished()]
        self._tape.forget_before(self._turns.state.needed_from())
        return spans

    def finish(self) -> list[SpeechSpan]:
        self._turns.hear(self._network.last_probability())
        return [self._tape.cut(start, end) for start, end in self._turns.rest(self._tape.end)]

    def state(self) -> SpeechState:
        return SpeechState(self._tape.end, *self._network.state, self._turns.state.copy())


class UncutFinder:
    """Takes the whole recording for speech, in spans of at most 30 s that end where their last third is quietest.

    The last is no shorter than a second, unless the recording is.
    """

    def __init__(self, state: SpeechState | None = None, tape: Samples | None = None) -> None:
        state = state or SpeechState()
        self._start = state.turns.open_from or 0
        self._tape = _Tape(state.tape_bounds[0], np.zeros(0, np.float32) if tape is None else tape)

    def hear(self, block: Samples) -> list[SpeechSpan]:
        self._tape.append(block)
        spans = []
        while self._tape.end - self._start >= _MAX_SPAN + _MIN_REST:
            spans.append(self._cut_before(self._start + _MAX_SPAN))
        self._tape.forget_before(self.state().tape_bounds[0])
        return spans

    def finish(self) -> list[SpeechSpan]:
        spans = []
        if self._tape.end - self._start > _MAX_SPAN:
            spans.append(self._cut_before(self._tape.end - _MIN_REST))
        return [*spans, self._span(self._tape.end)] if self._tape.end > self._start else []

    def state(self) -> SpeechState:
        position = self._tape.end - self._tape.end % WINDOW_SAMPLES
        return SpeechState(self._tape.end, turns=Turns(position, open_from=self._start))

    def _cut_before(self, latest: int) -> SpeechSpan:
        return self._span(self._start + _quietest_cut(self._tape.cut(self._start, latest)))

    def _span(self, end: int) -> SpeechSpan:
        start, self._start = self._start, end
        return self._tape.cut(start, end)


def _quietest_cut(span: SpeechSpan) -> int:
    """The middle of the quietest 0.1 s behind the span's 20th second, in whole windows from its start.

    The last one of several, as in digital silence.
    """
    first = _MAX_SPAN * 2 // 3
    cuts = np.arange(-(-(first + _QUIET // 2) // WINDOW_SAMPLES), (len(span.samples) - _QUIET // 2) // WINDOW_SAMPLES)
    energy = np.concatenate([[0.0], np.cumsum(np.square(span.samples[first:], dtype=np.float64))])
    middles = cuts * WINDOW_SAMPLES - first
    around = energy[middles + _QUIET // 2] - energy[middles - _QUIET // 2]
    return int(cuts[len(cuts) - 1 - np.argmin(around[::-1])]) * WINDOW_SAMPLES


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
    """What is known of turns of speech between two probabilities."""

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

    def needed_from(self) -> int:
        """The sample before which nothing can become part of a turn any more."""
        start = self.closed[0][0] if self.closed else self.open_from
        return max(0, (self.position if start is None else start) - _MOST_PADDING)


class _TurnFinder:
    """Probabilities to turns of speech, and how much silence each keeps around it."""

    def __init__(self, state: Turns, settings: VadSettings) -> None:
        self.state = state
        self._settings = settings
        self._padding = settings.padding_samples

    def hear(self, probabilities: Iterable[float]) -> None:
        for probability in probabilities:
            self._hear_one(probability)
            self.state.position += WINDOW_SAMPLES

    def finished(self) -> Iterator[Bounds]:
        """Turns with their padding, once it is known; each is given out once."""
        state = self.state
        while state.closed:
            end = state.closed[0][1]
            following = state.closed[1][0] if len(state.closed) > 1 else state.open_from
            if following is None and state.position - end < 2 * self._padding:
                return
            yield self._pad_first(following)

    def rest(self, length: int) -> Iterator[Bounds]:
        """What is left when the recording has ended after ``length`` samples."""
        state = self.state
        if state.open_from is not None and length > state.open_from:
            self._close(length)
        while state.closed:
            following = state.closed[1][0] if len(state.closed) > 1 else None
            start, end = self._pad_first(following)
            yield start, min(end, length)

    def _pad_first(self, following: int | None) -> Bounds:
        start, end = self.state.closed.pop(0)
        previous_end, self.state.previous_end = self.state.previous_end, end
        before = self._padding if previous_end is None else min(self._padding, (start - previous_end) // 2)
        after = self._padding if following is None else min(self._padding, (following - end) // 2)
        return max(0, start - before), end + after

    def _hear_one(self, probability: float) -> None:
        state = self.state
        if probability >= self._settings.onset:
            self._resume()
            if state.open_from is None:
                state.open_from = state.position
                return
        if state.open_from is None:
            return
        if state.position - state.open_from > self._settings.max_speech_samples and self._cut_long_turn():
            return
        if state.open_from is not None and probability < self._settings.offset:
            self._be_quiet()

    def _resume(self) -> None:
        state = self.state
        if state.quiet_from:
            state.quiet_from = 0
            if state.resumed_at < state.cut_at:
                state.resumed_at = state.position

    def _cut_long_turn(self) -> bool:
        """Close a turn that fills a span: at its last pause, else right here. Whether this window is done with."""
        resumed_at, cut_at = self.state.resumed_at, self.state.cut_at
        self._close(cut_at or self.state.position)
        if cut_at and resumed_at >= cut_at:
            self.state.open_from = resumed_at
        return not cut_at

    def _be_quiet(self) -> None:
        state = self.state
        state.quiet_from = state.quiet_from or state.position
        if state.position - state.quiet_from > _CUT_SILENCE:
            state.cut_at = state.quiet_from
        if state.position - state.quiet_from >= self._settings.min_silence_samples:
            self._close(state.quiet_from)

    def _close(self, end: int) -> None:
        state = self.state
        if state.open_from is not None and end > state.open_from:
            state.closed.append((state.open_from, end))
        state.open_from = None
        state.quiet_from = state.cut_at = state.resumed_at = 0


def _zeros() -> Samples:
    return np.zeros(STATE_SHAPE, np.float32)


@dataclass(frozen=True, eq=False)
class SpeechState:
    """All that a finder knows between two blocks, but for the samples within ``tape_bounds``."""

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
