"""How a machine is used: device, precision, and how many chunks are decoded at a time by whom."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import ctranslate2

from avskrift.asr.options import EngineConfig
from avskrift.asr.packing import Chunk
from avskrift.asr.reading import WindowSizes
from avskrift.errors import BadOptions

#: Chunks decoded together. Above 5 or 6 on CPU, memory bandwidth for the cross-attention keys is the limit.
CPU_BATCH = 4
GPU_BATCH = 16
#: One thread each is fastest while there are cores for it; more than this many copies of the activations cost memory.
MAX_CPU_WORKERS = 4


@dataclass(frozen=True)
class DecodingPlan:
    """``workers`` batches at a time, ``threads`` each."""

    device: str
    compute_type: str
    workers: int
    threads: int
    batch: int

    @property
    def windows(self) -> WindowSizes:
        """Chunks that are shared out among the batches together: no batch reaches over a window's end.

        The first has a chunk for every worker: none waits for minutes of audio to be read.
        """
        return WindowSizes(first=max(2, self.workers), later=max(2, self.workers) * self.batch)

    def batches(self, chunks: Sequence[Chunk], *, in_order: bool = False) -> list[list[Chunk]]:
        """A window's chunks, similar lengths together: no row waits long for the longest of its batch.

        Small enough that every worker has one. A function of the chunks alone, never of time.
        """
        size = min(self.batch, math.ceil(len(chunks) / self.workers))
        ordered = chunks if in_order else sorted(chunks, key=lambda chunk: -chunk.clock.duration_samples)
        return [list(ordered[i : i + size]) for i in range(0, len(ordered), size)]


def plan_for(config: EngineConfig) -> DecodingPlan:
    """Device, precision and parallelism; raises ``BadOptions`` for a device or precision that is not here."""
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
        batch = config.batch or GPU_BATCH
        return DecodingPlan(device, compute_type, workers=1, threads=config.threads or 0, batch=batch)
    cores = config.threads or len(os.sched_getaffinity(0))
    workers = min(cores, MAX_CPU_WORKERS)
    return DecodingPlan(device, compute_type, workers, threads=cores // workers, batch=config.batch or CPU_BATCH)
