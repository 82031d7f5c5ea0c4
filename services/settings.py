"""What one service is told: which model, where it listens, and what it lets through.

The command line makes the settings; they reach the worker processes as JSON in the environment.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from lifecycle.config import Frozen
from lifecycle.errors import ConfigError
from lifecycle.state import State

VARIABLE = "MLOPS_SERVICE"


class Limits(Frozen):
    """``concurrency``: requests at once in one worker, ``queue`` more wait. ``seconds``: for one
    request; ``body_seconds``: for its body to arrive."""

    body_bytes: int = Field(1024 * 1024, ge=1)
    body_seconds: float = Field(10, gt=0)
    question_chars: int = Field(2_000, ge=1)
    rows: int = Field(1_000, ge=1)
    k: int = Field(100, ge=1)
    concurrency: int = Field(64, ge=1)
    queue: int = Field(256, ge=0)
    seconds: float = Field(30, gt=0)


class ServiceSettings(Frozen):
    """``name`` is a registered model in the registry at ``tracking_uri``, of which the champion is
    served, or always ``version``; ``bundle`` is a folder that is served instead.

    ``device``: ``cpu`` or ``cuda``; ``gpus``: of each worker the number of its own. ``threads``:
    of each worker; ``waiting``: so many requests more may wait there for a language model
    elsewhere. ``rate``: requests a minute for each key, 0 any number. ``watch_s``: how often
    the registry is asked for the champion. ``keys``: whether an API key is asked for; only the
    command line, which knows the address, says no.
    """

    name: str = ""
    version: int | None = None
    bundle: str = ""
    tracking_uri: str = ""
    state: str = ""
    host: str = "127.0.0.1"
    port: int = Field(3000, ge=0, le=65_535)
    workers: int = Field(1, ge=1)
    threads: int = Field(1, ge=1)
    waiting: int = Field(0, ge=0)
    device: str = "cpu"
    gpus: tuple[str, ...] = ()
    limits: Limits = Limits()
    rate: float = Field(0, ge=0)
    keys: bool = True
    insecure: bool = False
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    log_texts: bool = False
    watch_s: float = Field(2.0, gt=0)

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def folders(self) -> State:
        return State(Path(self.state)) if self.state else State.from_env()

    def in_environment(self) -> dict[str, str]:
        """The variables that make ``from_environment`` give these settings again."""
        return {VARIABLE: self.model_dump_json()}


def from_environment(environment: Mapping[str, str] = os.environ) -> ServiceSettings:
    """The settings of this process; the defaults where none were given. Raises ConfigError."""
    try:
        return ServiceSettings.model_validate_json(environment.get(VARIABLE, "{}"))
    except ValidationError as error:
        raise ConfigError(f"{VARIABLE} holds no settings: {error.errors()[0]['msg']}.") from error
