"""`run.py ui`: the MLflow UI on this project's store, and ZenML's dashboard."""

import argparse
import os
import signal
import socket
import subprocess
import sys
from importlib import import_module

from cli.output import next_step, say
from lifecycle.errors import UsageError
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State

HOST = "127.0.0.1"


def main(options: argparse.Namespace) -> int:
    """Serve until stopped with Ctrl-C; loopback only."""
    state = State.from_env()
    tracker = tracker_of(load_stack(options.stack, state), state)
    _refuse_taken_port(options.port)
    if options.zenml:
        import_module("pipelines.runtime").start(state, load_stack(options.stack, state))
        return _serve("ZenML's dashboard", options.port, *_zenml(state, options.port))
    if tracker.uri.startswith("http"):
        say(f"This stack tracks on a server of its own: open {tracker.uri}")
        return 0
    next_step("in another terminal, python run.py ui --zenml --port 8080 for ZenML's dashboard")
    return _serve("MLflow", options.port, *_mlflow(state, tracker.uri, options.port))


def _mlflow(state: State, uri: str, port: int) -> tuple[list[str], dict[str, str]]:
    state.mlflow_db.parent.mkdir(parents=True, exist_ok=True)
    command = ["-m", "mlflow", "server", "--host", HOST, "--port", str(port)]
    store = ["--backend-store-uri", uri, "--default-artifact-root", str(state.mlflow_artifacts)]
    quiet = ["--workers", "1", "--uvicorn-opts", "--log-level warning"]
    environment = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        "PYTHONWARNINGS": "ignore",
    }
    return [*command, *store, *quiet], environment


def _zenml(state: State, port: int) -> tuple[list[str], dict[str, str]]:
    from pipelines.runtime import environment

    database = state.zenml / "local_stores" / "default_zen_store" / "zenml.db"
    store = {
        "ZENML_STORE_TYPE": "sql",
        "ZENML_STORE_URL": f"sqlite:///{database}",
        "ZENML_SERVER_AUTH_SCHEME": "NO_AUTH",
        "ZENML_SERVER_DEPLOYMENT_TYPE": "local",
        "ZENML_SERVER_AUTO_ACTIVATE": "true",
        "ZENML_SERVER_DISPLAY_ANNOUNCEMENTS": "false",
        "ZENML_SERVER_DISPLAY_UPDATES": "false",
    }
    app = "zenml.zen_server.zen_server_api:app"
    command = ["-m", "uvicorn", app, "--host", HOST, "--port", str(port), "--log-level", "warning"]
    return command, environment(state) | store


def _serve(what: str, port: int, command: list[str], environment: dict[str, str]) -> int:
    say(f"{what}: http://{HOST}:{port} (Ctrl-C stops it)")
    # Sessions of their own, so that Ctrl-C reaches us alone and the servers are asked to end.
    process = subprocess.Popen(
        [sys.executable, *command], env=os.environ | environment, start_new_session=True
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return process.wait()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        return 0


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(
                f"port {port} cannot be used: {error.strerror}.", f"Try --port {port + 1}."
            ) from error
