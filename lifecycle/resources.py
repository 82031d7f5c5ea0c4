"""One block for what a run needs, with one meaning for ZenML, trainers and services."""

import os
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lifecycle.errors import ConfigError


class Resources(BaseModel):
    """``resources:`` of a pipeline's YAML.

    ``gpus: auto`` uses a GPU where there is one. ``cpus`` 0 means all there are; ``memory`` is a
    size such as ``4GB``, empty for no limit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpus: int = Field(0, ge=0)
    memory: str = Field("", pattern=r"^(\d+(KB|MB|GB|TB|KiB|MiB|GiB|TiB))?$")
    gpus: int | Literal["auto"] = "auto"
    gpu_type: str = ""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"

    @property
    def threads(self) -> int:
        return self.cpus or os.cpu_count() or 1


def gpu_count() -> int:
    """How many CUDA devices this process can use, found without importing torch.

    ``CUDA_VISIBLE_DEVICES`` is honoured as CUDA does; the device files tell the rest.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = _device_files()
    if visible is None:
        return devices
    return min(devices, len([d for d in visible.split(",") if d.strip() not in ("", "-1")]))


def _device_files() -> int:
    from pathlib import Path

    return len([p for p in Path("/dev").glob("nvidia[0-9]*") if p.name[6:].isdigit()])


def device(resources: Resources) -> tuple[str, str]:
    """The torch device for ``resources`` and a sentence that says which and why.

    Raises ConfigError where GPUs are demanded and there are fewer.
    """
    there = gpu_count()
    if resources.gpus == "auto":
        return ("cuda", "a GPU was found") if there else ("cpu", "no GPU was found")
    if resources.gpus > there:
        raise ConfigError(
            f"resources.gpus={resources.gpus}, but this machine has {there}.",
            "Set --set resources.gpus=auto, or run on a stack with GPUs.",
        )
    return ("cuda", "as configured") if resources.gpus else ("cpu", "as configured")
