"""What a machine is asked to do at a time: never more than its memory holds, and the same for the same machine."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift.asr import embedded, models
from avskrift.asr import plan as planning
from avskrift.asr.isa import instruction_set
from avskrift.asr.options import EngineConfig
from avskrift.asr.packing import Chunk
from avskrift.asr.plan import CPU_BATCH, FEW_CHUNKS, DecodingPlan, cpu_plan, estimated_bytes, estimated_speed
from avskrift.asr.vad import SpeechSpan
from avskrift.asr.weights import ModelSize, read_size
from avskrift.errors import BadOptions

BASE = ModelSize(6, 512, 8, 51_865, 72_600_000, 145_200_000)
LARGE = ModelSize(32, 1280, 20, 51_866, 1_543_000_000, 3_087_000_000)
MB = 1_000_000

sizes = st.sampled_from([BASE, LARGE, replace(BASE, decoder_layers=4, width=384, heads=6, numbers=38_000_000)])
cores = st.integers(1, 64)
memory_mb = st.integers(1, 20_000)
compute_types = st.sampled_from(["int8", "float32"])


@given(sizes, cores, memory_mb, memory_mb, compute_types)
def test_more_memory_never_gives_a_slower_plan(
    size: ModelSize, cores: int, one: int, other: int, compute_type: str
) -> None:
    less, more = (
        cpu_plan(EngineConfig(memory_mb=budget), compute_type, size, cores) for budget in sorted((one, other))
    )
    assert estimated_speed(more) >= estimated_speed(less)


@given(sizes, cores, memory_mb, compute_types)
def test_a_plan_stays_within_the_budget_or_is_the_smallest_there_is(
    size: ModelSize, cores: int, budget_mb: int, compute_type: str
) -> None:
    plan = cpu_plan(EngineConfig(memory_mb=budget_mb), compute_type, size, cores)
    assert estimated_bytes(plan, size) <= budget_mb * MB or (plan.workers, plan.batch) == (1, 1)
    assert 1 <= plan.workers * plan.threads <= cores
    assert 1 <= plan.batch <= CPU_BATCH


@given(cores, st.integers(1, 32), st.integers(1, 64))
def test_threads_and_batch_that_are_asked_for_are_taken(cores: int, batch: int, threads: int) -> None:
    plan = cpu_plan(EngineConfig(batch=batch, threads=threads), "int8", BASE, cores)
    assert plan.batch == batch
    assert threads / 2 < plan.workers * plan.threads <= threads
    assert plan == cpu_plan(EngineConfig(batch=batch, threads=threads), "int8", BASE, cores + 1)


def test_two_cores_decode_two_batches_of_five_within_a_gigabyte_and_a_half() -> None:
    plan = cpu_plan(EngineConfig(), "int8", BASE, 2)
    assert (plan.workers, plan.threads, plan.batch, plan.keeps_both) == (2, 1, 5, True)


def test_little_memory_keeps_one_arrangement_of_the_weights_before_it_costs_speed() -> None:
    roomy = cpu_plan(EngineConfig(), "int8", BASE, 2)
    tight = cpu_plan(EngineConfig(memory_mb=1_310), "int8", BASE, 2)
    assert tight == replace(roomy, keeps_both=False)


def test_a_model_beyond_the_budget_is_still_run() -> None:
    plan = cpu_plan(EngineConfig(memory_mb=500), "int8", LARGE, 4)
    assert (plan.workers, plan.threads, plan.batch) == (1, 4, 1)


def test_a_batch_beyond_the_memory_that_is_asked_for_is_refused() -> None:
    with pytest.raises(BadOptions, match=r"batch of 16 takes about \d+ MB"):
        cpu_plan(EngineConfig(batch=16, memory_mb=1_000), "int8", BASE, 2)
    assert cpu_plan(EngineConfig(batch=64), "int8", BASE, 2).batch == 64


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has one, as far as can be told before a model is loaded."""
    monkeypatch.setattr(planning.ctranslate2, "get_cuda_device_count", lambda: 1)
    monkeypatch.setattr(planning.ctranslate2, "get_supported_compute_types", lambda _: {"float16", "int8"})


@pytest.mark.usefixtures("gpu")
def test_a_bound_of_the_memory_is_refused_where_auto_takes_a_gpu() -> None:
    with pytest.raises(BadOptions, match="this machine has a GPU"):
        planning.plan_for(EngineConfig(memory_mb=500), BASE)
    assert planning.plan_for(EngineConfig(), BASE).device == "cuda"
    assert planning.plan_for(EngineConfig(device="cpu", memory_mb=500), BASE).device == "cpu"


def test_few_chunks_get_every_core_and_more_are_shared_out() -> None:
    plan = DecodingPlan("cpu", "int8", workers=2, threads=2, batch=4)
    few, many = chunks(FEW_CHUNKS - 1), chunks(FEW_CHUNKS)
    assert (plan.for_all_of(few).workers, plan.for_all_of(few).threads) == (1, 4)
    assert [len(batch) for batch in plan.for_all_of(few).batches(few)] == [3]
    assert plan.for_all_of(many) == plan
    assert [len(batch) for batch in plan.batches(many)] == [2, 2]


def test_only_a_recording_that_says_it_is_short_is_read_to_its_end_first() -> None:
    plan = DecodingPlan("cpu", "int8", workers=2, threads=1, batch=4)
    assert plan.windows_of(119.0).first == FEW_CHUNKS
    assert plan.windows_of(121.0) == plan.windows_of(None) == plan.windows
    assert plan.windows.first == 2


@pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed")
def test_a_model_s_size_is_read_from_its_file() -> None:
    size = read_size(base_model())
    assert size
    assert (size.decoder_layers, size.width, size.heads, size.vocabulary) == (6, 512, 8, 51_865)
    assert size.loaded_bytes("int8") == pytest.approx(72.6 * MB, rel=0.01)
    assert size.loaded_bytes("float32") == 4 * size.loaded_bytes("int8")


@pytest.mark.parametrize("content", [b"", b"{}", b"\x06\0\0\0" + b"\xff" * 40, b"\x06\0\0\0\0\0" + b"\0" * 60])
def test_what_is_no_model_has_no_size(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    assert read_size(tmp_path) is None


def test_a_missing_model_has_no_size_and_still_a_plan(tmp_path: Path) -> None:
    assert read_size(tmp_path) is None
    assert cpu_plan(EngineConfig(), "int8", None, 2).workers == 2


LOAD = """
import sys, ctranslate2
ctranslate2.models.Whisper(sys.argv[1], device="cpu", compute_type="int8")
"""


@pytest.mark.speech
@pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed")
@pytest.mark.parametrize("forced", [{}, {"CT2_FORCE_CPU_ISA": "GENERIC"}])
def test_the_instruction_set_we_name_is_the_one_that_ctranslate2_takes(forced: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(base_model())],
        env={"CT2_VERBOSE": "1", **forced},
        capture_output=True,
        text=True,
        check=True,
    )
    taken = next(line.split()[-1] for line in done.stderr.splitlines() if "Selected ISA" in line)
    assert instruction_set(forced).split()[0] == taken


def base_model() -> Path:
    return models.resolve("base").directory


def chunks(count: int) -> list[Chunk]:
    return [Chunk((SpeechSpan(i * 20_000, np.zeros(16_000, np.float32)),)) for i in range(count)]
