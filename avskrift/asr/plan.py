"""How a machine is used: device, precision, and how many chunks are decoded at a time by whom.

On a CPU it is the fastest arrangement whose memory is expected to stay within the budget. Both, the speeds and the
memory, are modelled on what was measured for the base model (``docs/performance.md``); other models are scaled by
their layers, width, heads and vocabulary.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import ctranslate2

from avskrift.asr.options import EngineConfig
from avskrift.asr.weights import ModelSize
from avskrift.errors import BadOptions

if TYPE_CHECKING:
    from avskrift.asr.packing import Chunk

#: Chunks decoded together. Above 5 on CPU, memory bandwidth for the cross-attention keys is the limit.
CPU_BATCH = 5
GPU_BATCH = 16
#: More batches at a time than this were never measured.
MAX_CPU_WORKERS = 4
#: A recording of fewer chunks is decoded in one batch on every core: there is too little to share out.
FEW_CHUNKS = 4
#: A recording whose header says at most so much is read to its end before its first batch: four chunks of 30 s.
SHORT_S = 120.0
#: MB that the worker may take on a CPU where nobody says.
DEFAULT_MEMORY_MB = 1500

_MB = 1_000_000
#: Libraries, the detector of speech, the recording's last minutes, and what the heap loses between them.
_PROCESS_BYTES = 295 * _MB
#: The encoder's attention of one window: scores, their softmax, and what they are made of.
_SCORES_COPIES = 3
#: Of a window's tokens times the vocabulary, which alignment holds at once, float32.
_LOGITS_COPIES = 1.25
_POSITIONS = 1500
_TOKENS = 150
_BEAMS = 5
_FLOAT_BYTES = 4

#: CPU seconds of one thread for a chunk: its encoding, and of a batch's generation what each row adds and all share.
_ENCODE_S, _ROW_S, _BATCH_S = 0.33, 0.18, 0.62
#: Two threads at one batch do the work of 1.5.
_THREADS_EXPONENT = 0.58


@dataclass(frozen=True)
class WindowSizes:
    """In chunks: the first window is small, so that its text is on its way while the rest is being read."""

    first: int
    later: int

    def after(self, windows: int) -> int:
        return self.later if windows else self.first


@dataclass(frozen=True)
class DecodingPlan:
    """``workers`` batches at a time, ``threads`` each."""

    device: str
    compute_type: str
    workers: int
    threads: int
    batch: int
    keeps_both: bool = True
    """Whether there is memory to keep the model loaded for :attr:`alone` too."""

    @property
    def windows(self) -> WindowSizes:
        """Chunks that are shared out among the batches together: no batch reaches over a window's end.

        The first has a chunk for every worker: none waits for minutes of audio to be read.
        """
        return WindowSizes(first=max(2, self.workers), later=max(2, self.workers) * self.batch)

    def windows_of(self, duration_s: float | None) -> WindowSizes:
        """Those of a recording whose header says that it lasts so long.

        Whether it has few chunks is known once it is read to its end. One that says it is short is: two minutes take
        0.4 s to read. Of a longer one the first batch is on its way after the first minute of speech, at the cost of
        :attr:`alone` where three chunks turn out to be all there is.
        """
        if duration_s is None or duration_s > SHORT_S:
            return self.windows
        return replace(self.windows, first=max(self.windows.first, FEW_CHUNKS))

    @property
    def alone(self) -> DecodingPlan:
        """One batch on every core."""
        return replace(self, workers=1, threads=self.workers * self.threads)

    def for_all_of(self, chunks: Sequence[Chunk]) -> DecodingPlan:
        """How a recording is decoded that has these chunks and no others."""
        return self.alone if len(chunks) < FEW_CHUNKS else self

    def batches(self, chunks: Sequence[Chunk], *, in_order: bool = False) -> list[list[Chunk]]:
        """A window's chunks, similar lengths together: no row waits long for the longest of its batch.

        Small enough that every worker has one. A function of the chunks alone, never of time.
        """
        size = min(self.batch, math.ceil(len(chunks) / self.workers))
        ordered = chunks if in_order else sorted(chunks, key=lambda chunk: -chunk.clock.duration_samples)
        return [list(ordered[i : i + size]) for i in range(0, len(ordered), size)]


def plan_for(config: EngineConfig, size: ModelSize | None = None) -> DecodingPlan:
    """Device, precision and parallelism for a model of that size, or of one that fits.

    Raises ``BadOptions`` for a device or precision that is not here, for a batch beyond the memory that is asked for,
    and for a bound of the memory where a GPU is taken.
    """
    device = config.device
    has_gpu = ctranslate2.get_cuda_device_count() > 0
    if device == "auto":
        device = "cuda" if has_gpu else "cpu"
    if device == "cuda" and not has_gpu:
        raise BadOptions("device is cuda, but this machine has no GPU that can be used. Take auto or cpu.")
    compute_type = config.compute_type
    if compute_type == "default":
        compute_type = "float16" if device == "cuda" else "int8"
    supported = ctranslate2.get_supported_compute_types(device)
    if compute_type not in supported:
        raise BadOptions(f"{device} here cannot compute in {compute_type}. It can in {', '.join(sorted(supported))}.")
    if device == "cuda":
        _refuse_memory(config)
        batch = config.batch or GPU_BATCH
        return DecodingPlan(device, compute_type, workers=1, threads=config.threads or 0, batch=batch)
    return cpu_plan(config, compute_type, size, len(os.sched_getaffinity(0)))


def _refuse_memory(config: EngineConfig) -> None:
    """``device`` may have been auto: what it stands for is known only here."""
    if config.memory_mb is not None:
        raise BadOptions(
            "memory_mb bounds the memory on a CPU only, and this machine has a GPU, which is taken: leave it out, or "
            "take device cpu."
        )


def cpu_plan(config: EngineConfig, compute_type: str, size: ModelSize | None, cores: int) -> DecodingPlan:
    """The fastest within the budget; where there is none, the smallest, unless its batch was asked for."""
    cores = config.threads or cores
    plans = list(_cpu_plans(compute_type, cores, config.batch))
    budget_bytes = (config.memory_mb or DEFAULT_MEMORY_MB) * _MB
    fitting = [plan for plan in plans if size is None or estimated_bytes(plan, size) <= budget_bytes]
    if fitting:
        return max(fitting, key=lambda plan: (estimated_speed(plan), plan.keeps_both))
    smallest = min(plans, key=lambda plan: estimated_bytes(plan, size) if size else 0)
    if size and config.batch and config.batch > 1 and config.memory_mb:
        needed = math.ceil(estimated_bytes(smallest, size) / _MB)
        raise BadOptions(
            f"A batch of {config.batch} takes about {needed} MB with this model, more than the memory_mb of "
            f"{config.memory_mb}: ask for a smaller batch, or leave batch out."
        )
    return smallest


def estimated_bytes(plan: DecodingPlan, size: ModelSize) -> float:
    """The most that the process is expected to take on a CPU: loading, or every worker with its batch.

    A worker encodes one window after the other, then holds the keys and values of each row's encoder output, and of
    its tokens for each beam, twice while beams change places. To align, the logits of all tokens of a batch are there
    together; workers take turns at it.
    """
    copies = 2 if plan.keeps_both and plan.workers > 1 else 1
    resident = _PROCESS_BYTES + copies * size.loaded_bytes(plan.compute_type)
    scores = size.heads * _POSITIONS**2 * _FLOAT_BYTES
    kept = 2 * size.decoder_layers * size.width * _FLOAT_BYTES
    row = kept * (_POSITIONS + 2 * _BEAMS * _TOKENS)
    logits = _LOGITS_COPIES * _TOKENS * size.vocabulary * _FLOAT_BYTES
    working = plan.workers * max(_SCORES_COPIES * scores, plan.batch * row) + plan.batch * logits
    return resident + max(size.stored_bytes, working)


def estimated_speed(plan: DecodingPlan) -> float:
    """Chunks a second of the base model."""
    chunk_s = _ENCODE_S + _ROW_S + _BATCH_S / plan.batch
    return plan.workers * math.pow(plan.threads, _THREADS_EXPONENT) / chunk_s


def _cpu_plans(compute_type: str, cores: int, batch: int | None) -> Iterator[DecodingPlan]:
    for workers in range(1, min(cores, MAX_CPU_WORKERS) + 1):
        for size in [batch] if batch else range(1, CPU_BATCH + 1):
            for keeps_both in (True, False):
                yield DecodingPlan("cpu", compute_type, workers, cores // workers, size, keeps_both)
