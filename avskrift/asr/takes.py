"""Takes: chunks decoded once more in one certain way, measured and judged. What to try when is decided elsewhere.

A take of a chunk is one window, or its two halves put together on the chunk's clock. All windows of a take are decoded
together, whichever chunks they belong to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from avskrift.asr.audit import AttemptAudit, Fault, How
from avskrift.asr.coverage import longest_s, uncovered
from avskrift.asr.decoded import AlignedWord
from avskrift.asr.gate import Measures, Thresholds, faults_of, is_doubtful
from avskrift.asr.halving import halves
from avskrift.asr.loops import compression, longest_loop
from avskrift.asr.packing import Chunk
from avskrift.asr.task import Task, encode, languages_of, prompt
from avskrift.asr.whisper import Encoded, Generated, Generation, Whisper, estimated_words, split_words

BEAM_SIZE = 5
#: No run of so many tokens comes twice: ends every loop, and leaves alone what people repeat in a sentence. Sampling at
#: a temperature leaves loops, too, but CTranslate2 draws from a generator in each thread, which no seed starts again.
NO_REPEAT_TOKENS = 6

Heard = tuple[str, float]


@dataclass(frozen=True)
class Take:
    """One attempt at a chunk; ``words`` lie on the chunk's clock."""

    how: How
    measures: Measures
    faults: tuple[Fault, ...]
    words: tuple[AlignedWord, ...]

    def audit(self) -> AttemptAudit:
        measures = self.measures
        return AttemptAudit(
            how=self.how,
            faults=self.faults,
            tokens=measures.tokens,
            tokens_per_s=measures.tokens_per_s,
            compression=measures.compression,
            log_probability=min(0.0, measures.log_probability),
            no_speech_probability=measures.no_speech_probability,
            uncovered_s=measures.uncovered_s,
            language=measures.language,
        )


@dataclass(frozen=True)
class _Window:
    """What is decoded at once: a chunk or half of one, and what came of it."""

    row: int
    """Among the windows encoded together."""
    offset_s: float
    duration_s: float
    said: Generated


@dataclass(frozen=True)
class _Draft:
    """A take that is not aligned yet."""

    windows: tuple[_Window, ...]
    measures: Measures


class Takes:
    """The chunks of a batch, which are encoded once however often they are decoded."""

    def __init__(self, whisper: Whisper, chunks: Sequence[Chunk], task: Task) -> None:
        self.chunks = chunks
        self._whisper = whisper
        self._task = task
        self._encoded = encode(whisper, chunks, task)
        self._languages = languages_of(whisper, chunks, self._encoded, task)
        self._heard: list[Heard | None] = [None] * len(chunks)

    def first(self) -> list[Take]:
        """Every chunk as the options say."""
        return self._listened(self.again(How.FIRST, range(len(self.chunks))))

    def again(self, how: How, rows: Sequence[int]) -> list[Take]:
        """Some of the chunks in another way."""
        if how is not How.WINDOWS:
            whole = [(0.0, self.chunks[row].clock.duration_s) for row in rows]
            encoded = self._encoded.select(rows)
            return self._take(how, rows, encoded, [[place] for place in whole])
        together = max(1, len(self.chunks) // 2)
        groups = [rows[i : i + together] for i in range(0, len(rows), together)]
        return [take for group in groups for take in self._in_halves(group)]

    def _in_halves(self, rows: Sequence[int]) -> list[Take]:
        pairs = [halves(self.chunks[row]) for row in rows]
        encoded = self._whisper.encode([piece.samples for pair in pairs for piece in pair])
        places = [[(piece.offset_s, piece.duration_s) for piece in pair] for pair in pairs]
        return self._take(How.WINDOWS, rows, encoded, places)

    def _take(
        self, how: How, rows: Sequence[int], encoded: Encoded, places: Sequence[Sequence[tuple[float, float]]]
    ) -> list[Take]:
        """``places``: offset and duration of each chunk's windows, in seconds, in the order they are encoded in."""
        self._task.raise_if_cancelled()
        if how is How.LANGUAGE:
            self._believe_what_was_heard(rows)
        languages = [self._languages[row] for row in rows]
        prompts = [
            prompt(self._whisper, language, self._task, timestamps=how is How.TIMESTAMPS)
            for language, own in zip(languages, places, strict=True)
            for _ in own
        ]
        said = iter(enumerate(self._whisper.generate(encoded, prompts, self._generation(how))))
        windows = [tuple(_Window(row, *place, text) for place, (row, text) in zip(own, said)) for own in places]  # noqa: B905
        drafts = [self._draft(*of) for of in zip(rows, languages, windows, strict=True)]
        return self._judged(how, drafts, encoded)

    def _believe_what_was_heard(self, rows: Sequence[int]) -> None:
        """From now on these chunks are in the language heard in them: what is tried after that is tried in it, too."""
        for row in rows:
            self._languages[row], _ = self._heard[row] or (self._languages[row], 0.0)

    def _generation(self, how: How) -> Generation:
        return Generation(
            beam_size=max(BEAM_SIZE, self._task.options.beam_size) if how is How.BEAM else self._task.options.beam_size,
            timestamps=how is How.TIMESTAMPS,
            no_repeat_tokens=NO_REPEAT_TOKENS if how is How.NO_REPEAT else 0,
        )

    def _draft(self, row: int, language: str, windows: tuple[_Window, ...]) -> _Draft:
        tokens = [token for window in windows for token in window.said.tokens]
        weights = [len(window.said.tokens) + 1 for window in windows]
        speech_s = sum(window.duration_s for window in windows)
        text = self._tokenizer(language).decode(tokens)
        return _Draft(
            windows,
            Measures(
                tokens=len(tokens),
                speech_s=speech_s,
                repeated_tokens=longest_loop(tokens).repeated,
                compression=compression(text),
                log_probability=_mean([window.said.log_probability for window in windows], weights),
                no_speech_probability=_mean(
                    [window.said.no_speech_probability for window in windows],
                    [window.duration_s for window in windows],
                ),
                language=language,
                heard=self._heard[row],
            ),
        )

    def _judged(self, how: How, drafts: Sequence[_Draft], encoded: Encoded) -> list[Take]:
        """With words, aligned where that is asked for, and where coverage is in doubt."""
        limits = self._task.limits
        worth = [place for place, draft in enumerate(drafts) if self._is_worth_aligning(how, draft.measures)]
        aligned = dict(zip(worth, self._aligned([drafts[place] for place in worth], encoded), strict=True))
        takes = []
        for place, draft in enumerate(drafts):
            words, measures = aligned.get(place), draft.measures
            if words is not None and self._task.options.task == "transcribe":
                measures = replace(measures, uncovered_s=longest_s(uncovered(words, measures.speech_s)))
            faults = faults_of(measures, limits)
            takes.append(Take(how, measures, faults, self._estimated(draft) if words is None else words))
        return takes

    def _is_worth_aligning(self, how: How, measures: Measures) -> bool:
        """Neither a text that is dropped nor a loop, whose words have no places: its times are estimated."""
        limits = self._task.limits
        if not {Fault.NO_SPEECH, Fault.LOOP}.isdisjoint(faults_of(measures, limits)):
            return False
        return self._task.options.words or how is not How.FIRST or is_doubtful(measures, limits)

    def _aligned(self, drafts: Sequence[_Draft], encoded: Encoded) -> list[tuple[AlignedWord, ...]]:
        found: list[tuple[AlignedWord, ...]] = [()] * len(drafts)
        for language in dict.fromkeys(draft.measures.language for draft in drafts):
            its_own = [place for place, draft in enumerate(drafts) if draft.measures.language == language]
            windows = [window for place in its_own for window in drafts[place].windows]
            tokens = [window.said.tokens for window in windows]
            tokenizer = self._tokenizer(language)
            timed = iter(self._whisper.align(encoded.select([window.row for window in windows]), tokenizer, tokens))
            for place in its_own:
                words = [_moved(next(timed), window) for window in drafts[place].windows]
                found[place] = tuple(word for of_window in words for word in of_window)
        return found

    def _estimated(self, draft: _Draft) -> tuple[AlignedWord, ...]:
        tokenizer = self._tokenizer(draft.measures.language)
        return tuple(word for window in draft.windows for word in _moved(_estimate(tokenizer, window), window))

    def _listened(self, takes: list[Take]) -> list[Take]:
        """The takes that are in doubt judged anew, knowing which language is heard in them, where it was not given."""
        if self._task.options.language is not None or not self._whisper.is_multilingual:
            return takes
        rows = [row for row, take in enumerate(takes) if _is_language_in_doubt(take, self._task.limits)]
        if rows:
            for row, heard in zip(rows, self._whisper.language_probabilities(self._encoded.select(rows)), strict=True):
                self._heard[row] = max(heard.items(), key=lambda language: (language[1], language[0]))
                measures = replace(takes[row].measures, heard=self._heard[row])
                takes[row] = replace(takes[row], measures=measures, faults=faults_of(measures, self._task.limits))
        return takes

    def _tokenizer(self, language: str) -> Any:
        return self._whisper.tokenizer(language, self._task.options.task)


def _is_language_in_doubt(take: Take, limits: Thresholds) -> bool:
    if Fault.NO_SPEECH in take.faults:
        return False
    return bool(take.faults) or take.measures.log_probability < limits.doubtful_log_probability


def _estimate(tokenizer: Any, window: _Window) -> tuple[AlignedWord, ...]:
    words = split_words(tokenizer, window.said.tokens)
    return estimated_words(words, window.duration_s, math.exp(window.said.log_probability))


def _moved(words: Sequence[AlignedWord], window: _Window) -> tuple[AlignedWord, ...]:
    """From the window's clock to the chunk's, inside the window."""
    if not window.offset_s:
        return tuple(words)
    return tuple(
        replace(
            word,
            start_s=window.offset_s + min(word.start_s, window.duration_s),
            end_s=window.offset_s + min(word.end_s, window.duration_s),
        )
        for word in words
    )


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    total = math.fsum(weights)
    return math.fsum(value * weight for value, weight in zip(values, weights, strict=True)) / total if total else 0.0
