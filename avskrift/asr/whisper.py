"""The loaded model: windows of sound to encodings, encodings to tokens, tokens to timed words.

On CTranslate2's ``Whisper`` with faster-whisper's features and tokenizer. What is known to matter for speed on CPU:
windows are encoded one at a time, because a single one fills the caches already and several fill the memory; tokens are
generated for several at once. Encodings are not cut to their real sound: it saves nothing that can be measured, changes
four words in ten of hard speech, and makes short chunks loop.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Protocol

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper.audio import pad_or_trim
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens, merge_punctuations

from avskrift.asr.decoded import AlignedWord
from avskrift.asr.models import ResolvedModel
from avskrift.asr.plan import DecodingPlan
from avskrift.asr.replicas import Replicas
from avskrift.audio import SAMPLE_RATE_HZ, Samples
from avskrift.errors import ModelUnavailable

#: Positions of the encoder's output a second of sound.
POSITIONS_PER_S = 50
#: What the decoder can hold, prompt included; half of it may be prompt (openai/whisper ``model.dims.n_text_ctx``).
MAX_TOKENS = 448

_FRAMES_PER_POSITION = 2
_PREPENDED = "\"'“¿([{-"
_APPENDED = "\"'.。,，!！?？:：”)]}、"
#: The feature extractor mirrors half a window (12.5 ms) at each end.
_MIN_SAMPLES = 400
_HOST_TYPES = ("float32", "int8", "int8_float32", "int16")


@dataclass(frozen=True)
class Generation:
    """How tokens are looked for: always the likeliest, so that the same sound gives the same text."""

    beam_size: int = 1
    timestamps: bool = False
    no_repeat_tokens: int = 0
    """No run of so many tokens comes twice; 0 allows any."""


@dataclass(frozen=True)
class Generated:
    """The text of one window as tokens, without those of times."""

    tokens: tuple[int, ...]
    log_probability: float
    """Mean of the tokens', the end's included."""
    no_speech_probability: float


class Encoded(Protocol):
    """The encoder's output for some windows; each carries so many seconds of sound."""

    @property
    def durations_s(self) -> tuple[float, ...]: ...

    def view(self) -> Any:
        """As CTranslate2 takes it: (windows, positions, width)."""

    def select(self, rows: Sequence[int]) -> Encoded:
        """Some of the windows, not encoded again where that can be had."""


class Whisper:
    """One loaded model. Its methods may be called from several threads."""

    def __init__(self, model: ResolvedModel, plan: DecodingPlan, replicas: Replicas | None = None) -> None:
        """With ``replicas`` that are being loaded already. Raises ``ModelUnavailable``."""
        self.replicas = replicas or Replicas(model, plan)
        self._encodes_one_by_one = plan.device == "cpu" and plan.compute_type in _HOST_TYPES
        self._hf_tokenizer = _load_tokenizer(model)
        self._extract = FeatureExtractor(feature_size=self._model.n_mels)
        self.tokenizer = lru_cache(maxsize=None)(self._make_tokenizer)
        self._suppressed = lru_cache(maxsize=1)(self._find_suppressed)
        self._aligning = threading.Lock()

    @property
    def _model(self) -> Any:
        return self.replicas.current

    @property
    def is_multilingual(self) -> bool:
        return bool(self._model.is_multilingual)

    @property
    def languages(self) -> frozenset[str]:
        """Codes of those that have a token in this model."""
        return _languages(self._hf_tokenizer) if self.is_multilingual else frozenset({"en"})

    def encode(self, windows: Sequence[Samples], known: Sequence[Encoded | None] = ()) -> Encoded:
        """Windows of at most 30 s, each padded to that; ``known`` are those that were encoded by themselves before."""
        durations_s = tuple(len(samples) / SAMPLE_RATE_HZ for samples in windows)
        if self._encodes_one_by_one and any(known):
            each = [one or self.encode([samples]) for samples, one in zip(windows, known, strict=True)]
            return _HostEncoded(durations_s, [one.windows[0] for one in each if isinstance(one, _HostEncoded)])
        features = [self._features(samples) for samples in windows]
        if self._encodes_one_by_one:
            return _HostEncoded(durations_s, [np.asarray(self._encode(one[None]))[0] for one in features])
        return _DeviceEncoded(durations_s, features, self._encode)

    def generate(self, encoded: Encoded, prompts: Sequence[Sequence[int]], how: Generation) -> list[Generated]:
        """The likeliest tokens after each window's prompt; prompts are of one length."""
        results = self._model.generate(
            encoded.view(),
            [list(prompt) for prompt in prompts],
            beam_size=how.beam_size,
            patience=1,
            length_penalty=1,
            max_length=MAX_TOKENS,
            suppress_blank=True,
            suppress_tokens=self._suppressed(),
            return_scores=True,
            return_no_speech_prob=True,
            no_repeat_ngram_size=how.no_repeat_tokens,
        )
        return [self._generated(result) for result in results]

    def align(self, encoded: Encoded, tokenizer: Any, tokens: Sequence[Sequence[int]]) -> list[tuple[AlignedWord, ...]]:
        """The words that ``tokens`` spell for each window, with times from the decoder's attention.

        One call at a time: each holds the logits of all its tokens, which for two at once is more than the plan has.
        """
        spoken = [row for row, said in enumerate(tokens) if said]
        words: list[tuple[AlignedWord, ...]] = [()] * len(tokens)
        if not spoken:
            return words
        chosen = encoded.select(spoken)
        frames = [_positions(duration_s) * _FRAMES_PER_POSITION for duration_s in chosen.durations_s]
        with self._aligning:
            results = self._model.align(
                chosen.view(),
                tokenizer.sot_sequence,
                [list(tokens[row]) for row in spoken],
                frames,
                median_filter_width=7,
            )
        for row, result in zip(spoken, results, strict=True):
            words[row] = _timed(split_words(tokenizer, tokens[row]), result)
        return words

    def language_probabilities(self, encoded: Encoded) -> list[dict[str, float]]:
        """How likely each window is in each language, by its code."""
        heard = self._model.detect_language(encoded.view())
        return [{token.strip("<|>"): float(probability) for token, probability in window} for window in heard]

    def _features(self, samples: Samples) -> Samples:
        """Log-mel frames of a 30 s window: float32 (mels, 3000)."""
        if len(samples) < _MIN_SAMPLES:
            samples = np.pad(samples, (0, _MIN_SAMPLES - len(samples)))
        frames: Samples = pad_or_trim(self._extract(samples)[..., :-1])
        return np.ascontiguousarray(frames, np.float32)

    def _encode(self, features: Samples) -> Any:
        return self._model.encode(ctranslate2.StorageView.from_array(features))

    def _generated(self, result: Any) -> Generated:
        tokens = result.sequences_ids[0]
        log_probability = result.scores[0] * len(tokens) / (len(tokens) + 1)
        end = self._end_of_text()
        return Generated(
            tuple(token for token in tokens if token < end), float(log_probability), float(result.no_speech_prob)
        )

    def _end_of_text(self) -> int:
        return int(self.tokenizer("en", "transcribe").eot)

    def _make_tokenizer(self, language: str, task: str) -> Any:
        return Tokenizer(self._hf_tokenizer, self.is_multilingual, task=task, language=language)

    def _find_suppressed(self) -> list[int]:
        return list(get_suppressed_tokens(self.tokenizer("en", "transcribe"), [-1]))


@dataclass(frozen=True)
class _HostEncoded:
    """In this process's memory, a piece for each window: float32 (1500, width)."""

    durations_s: tuple[float, ...]
    windows: list[Samples]

    def view(self) -> Any:
        return ctranslate2.StorageView.from_array(np.stack(self.windows))

    def select(self, rows: Sequence[int]) -> Encoded:
        return _HostEncoded(tuple(self.durations_s[row] for row in rows), [self.windows[row] for row in rows])


class _DeviceEncoded:
    """On the GPU, where encoding again costs less than bringing it here and back."""

    def __init__(
        self, durations_s: tuple[float, ...], features: list[Samples], encode: Callable[[Samples], Any]
    ) -> None:
        self.durations_s = durations_s
        self._features = features
        self._encode = encode
        self._view: Any = None

    def view(self) -> Any:
        if self._view is None:
            self._view = self._encode(np.stack(self._features))
        return self._view

    def select(self, rows: Sequence[int]) -> Encoded:
        if list(rows) == list(range(len(self.durations_s))):
            return self
        durations_s = tuple(self.durations_s[row] for row in rows)
        return _DeviceEncoded(durations_s, [self._features[row] for row in rows], self._encode)


def _positions(duration_s: float) -> int:
    """Of the encoder's output, those that carry sound."""
    return max(1, math.ceil(duration_s * POSITIONS_PER_S))


def split_words(tokenizer: Any, tokens: Sequence[int]) -> list[tuple[str, int]]:
    """The words that tokens spell, with the space before them, and how many tokens each takes."""
    words, of_words = tokenizer.split_to_word_tokens([*tokens, tokenizer.eot])
    return [(word, len(own)) for word, own in zip(words[:-1], of_words[:-1], strict=True)]


def estimated_words(words: Sequence[tuple[str, int]], duration_s: float, probability: float) -> tuple[AlignedWord, ...]:
    """Words nobody aligned: each has the share of ``duration_s`` that it has of the characters."""
    total = sum(len(text) for text, _ in words)
    timed: list[dict[str, Any]] = []
    at = 0
    for text, _ in words:
        start_s, at = duration_s * at / total, at + len(text)
        timed.append({"word": text, "tokens": [], "start": start_s, "end": duration_s * at / total})
    return _merged(timed, [probability] * len(timed))


def _timed(words: Sequence[tuple[str, int]], result: Any) -> tuple[AlignedWord, ...]:
    """A token begins where the path through the attention first meets it, and lasts until the next one does."""
    starts: dict[int, int] = {}
    for token, position in result.alignments:
        starts.setdefault(token, position)
    bounds = [0]
    for _, tokens in words:
        bounds.append(bounds[-1] + tokens)
    last = result.alignments[-1][1] if result.alignments else 0
    seconds = [starts.get(token, last) / POSITIONS_PER_S for token in bounds]
    probabilities = [float(np.mean(result.text_token_probs[first:end])) for first, end in pairwise(bounds)]
    timed: list[dict[str, Any]] = [
        {"word": text, "tokens": [], "start": start, "end": end}
        for (text, _), (start, end) in zip(words, pairwise(seconds), strict=True)
    ]
    return _merged(timed, probabilities)


def _merged(timed: list[dict[str, Any]], probabilities: Sequence[float]) -> tuple[AlignedWord, ...]:
    """Punctuation with the word it belongs to; what is nothing but space is gone."""
    merge_punctuations(timed, _PREPENDED, _APPENDED)
    return tuple(
        AlignedWord(word["word"], word["start"], word["end"], probability)
        for word, probability in zip(timed, probabilities, strict=True)
        if word["word"].strip()
    )


def _load_tokenizer(model: ResolvedModel) -> Any:
    try:
        return tokenizers.Tokenizer.from_file(str(model.directory / "tokenizer.json"))
    except Exception as error:  # the library raises nothing more particular
        raise ModelUnavailable(
            f"Model {model.name!r} could not be loaded: {model.directory / 'tokenizer.json'} is damaged ({error}). "
            "Download it again."
        ) from error


def _languages(tokenizer: Any) -> frozenset[str]:
    tokens: dict[int, Any] = tokenizer.get_added_tokens_decoder()
    names = (str(token.content).strip("<|>") for token in tokens.values())
    return frozenset(name for name in names if name.isalpha() and len(name) in (2, 3))
