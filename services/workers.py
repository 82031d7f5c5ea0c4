"""How many processes serve, with how many threads and on which GPU: from ``resources:``."""

import os
from dataclasses import dataclass

from lifecycle.resources import Resources, device, gpu_count

# Read by the libraries when they start: each worker computes with its own share of the cores.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True)
class Plan:
    """``gpus``: of each worker the number of its GPU, as ``CUDA_VISIBLE_DEVICES`` counts; empty on
    a processor. ``said``: which device was taken, and why. ``waiting``: how many requests of a
    worker may wait for a language model elsewhere, which takes no core."""

    workers: int
    threads: int
    device: str
    gpus: tuple[str, ...]
    said: str
    waiting: int = 0


def plan(resources: Resources, workers: int = 0, visible: str | None = None) -> Plan:
    """What this machine serves with. Raises ConfigError where GPUs are demanded and missing."""
    kind, why = device(resources)
    there = gpu_count() if kind == "cuda" else 0
    wanted = there if resources.gpus == "auto" else min(int(resources.gpus), there)
    names = visible if visible is not None else os.environ.get("CUDA_VISIBLE_DEVICES")
    return assign(kind, why, gpu_names(wanted, names), workers, resources.threads)


def gpu_names(count: int, visible: str | None) -> tuple[str, ...]:
    """The first ``count`` GPUs as CUDA names them; ``visible`` is ``CUDA_VISIBLE_DEVICES``."""
    if visible is None:
        return tuple(str(number) for number in range(count))
    return tuple(name.strip() for name in visible.split(",") if name.strip())[:count]


def assign(kind: str, why: str, gpus: tuple[str, ...], workers: int, cores: int) -> Plan:
    """``workers`` 0: one for each GPU, or for two cores. More workers than GPUs share them in
    turn; the cores are divided among the workers."""
    count = workers or (len(gpus) if gpus else max(1, cores // 2))
    shared = tuple(gpus[number % len(gpus)] for number in range(count)) if gpus else ()
    return Plan(count, max(1, cores // count), kind, shared, f"{kind} ({why})")


def gpu_of(gpus: tuple[str, ...], worker: int) -> str:
    """The GPU of the worker with this number, from 1; a worker that took the place of a dead one
    may have a higher number than there are workers."""
    return gpus[(worker - 1) % len(gpus)] if gpus else ""


def thread_environment(threads: int) -> dict[str, str]:
    return dict.fromkeys(THREAD_VARIABLES, str(threads))
