"""Which instructions of the CPU the model is computed with: they decide the last bits of what it says.

CTranslate2 tells nobody but its log (``CT2_VERBOSE=1``), so its choice is made here once more, from the same flags
(``src/cpu/cpu_isa.cc``, ``init_isa``: AVX512 only where it is forced). The products of matrices come from oneDNN or
MKL, which choose by the same flags, but from more of them; the highest that they know is told beside it.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Set
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
#: oneDNN's levels (``ONEDNN_MAX_CPU_ISA``) and the flags that each needs, highest first.
_LEVELS: tuple[tuple[str, frozenset[str]], ...] = (
    ("avx512_core_amx", frozenset(("amx_tile", "amx_int8", "amx_bf16"))),
    ("avx512_core_bf16", frozenset(("avx512_bf16", "avx512_vnni", "avx512bw"))),
    ("avx512_core_vnni", frozenset(("avx512_vnni", "avx512bw"))),
    ("avx512_core", frozenset(("avx512f", "avx512bw", "avx512vl", "avx512dq"))),
    ("avx2_vnni", frozenset(("avx2", "avx_vnni"))),
    ("avx2", frozenset(("avx2",))),
    ("avx", frozenset(("avx",))),
    ("sse41", frozenset(("sse4_1",))),
)


def instruction_set(environment: Mapping[str, str] = os.environ) -> str:
    """CTranslate2's choice and that of the matrix products, such as ``AVX2 (matrices: avx512_core_vnni)``."""
    flags = _flags(_CPUINFO)
    if not flags:
        return environment.get("CT2_FORCE_CPU_ISA") or platform.machine()
    return f"{_chosen(flags, environment)} (matrices: {_level(flags)})"


def _chosen(flags: Set[str], environment: Mapping[str, str]) -> str:
    forced = environment.get("CT2_FORCE_CPU_ISA")
    if forced:
        return forced
    return next((name.upper() for name in ("avx2", "avx") if name in flags), "GENERIC")


def _level(flags: Set[str]) -> str:
    return next((name for name, needed in _LEVELS if needed <= flags), "generic")


def _flags(cpuinfo: Path) -> frozenset[str]:
    """Of an x86 CPU on Linux; empty elsewhere."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return frozenset(flags.split())
