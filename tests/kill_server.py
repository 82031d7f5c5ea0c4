"""Runs the pipeline in forked children and kills them, for ``test_faults``.

Heavy modules are imported once, here, and nothing is computed before the fork. Reads one JSON
request a line: {"stop": n} kills the child at its n-th durable operation (fsync, rename, link),
{"after": seconds} after some time, {} not at all; answers with one JSON line each.
"""

import json
import os
import signal
import sys
import time
from typing import Any


def preload() -> None:
    """Import what a run needs, without touching a database or computing anything."""
    import sentence_transformers  # noqa: F401

    import cli.ask
    import cli.environment
    import cli.pipeline
    import rag.stages.evaluate
    import rag.stages.prepare  # noqa: F401
    from lifecycle.state import State
    from pipelines.runtime import environment

    cli.environment.prepare(debug=False)
    os.environ.update(environment(State.from_env()))
    import mlflow  # noqa: F401

    import pipelines.rag  # noqa: F401


def count_durable_operations(stop: int) -> list[int]:
    """Make the process die at the ``stop``-th durable operation (0: never)."""
    calls = [0]

    def counted(function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            calls[0] += 1
            if calls[0] == stop:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    for name in ("fsync", "replace", "link"):
        setattr(os, name, counted(getattr(os, name)))
    return calls


def child(words: list[str], stop: int, report: int) -> None:
    from cli.main import main

    calls = count_durable_operations(stop)
    code = main(words)
    os.write(report, json.dumps({"code": code, "calls": calls[0]}).encode())
    os._exit(0)


def trial(request: dict[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        child(request["words"], request.get("stop", 0), writing)
    os.close(writing)
    if "after" in request:
        time.sleep(request["after"])
        os.kill(pid, signal.SIGKILL)
    started = time.monotonic()
    _, status = os.waitpid(pid, 0)
    said = os.read(reading, 1 << 16)
    os.close(reading)
    killed = os.WIFSIGNALED(status)
    answer = json.loads(said) if said else {}
    return answer | {"killed": killed, "seconds": time.monotonic() - started}


def serve() -> None:
    preload()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(trial(json.loads(line))), flush=True)


if __name__ == "__main__":
    serve()
