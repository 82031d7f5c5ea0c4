"""`run.py ui` serves MLflow's pages and ZenML's dashboard on loopback."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from cli.main import main
from lifecycle.fingerprint import ROOT
from lifecycle.state import State


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def fetch(url: str, within_s: float) -> str:
    end = time.monotonic() + within_s
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.3)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("words", "title"), [([], "<title>MLflow</title>"), (["--zenml"], "<title>ZenML")]
)
def test_the_page_comes_up_and_ends_quietly(words: list[str], title: str, state: State) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "run.py", "ui", "--port", str(port), *words],
        cwd=ROOT,
        env=os.environ | {"MLOPS_HOME": str(state.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert title in fetch(f"http://127.0.0.1:{port}/", within_s=120)
        assert fetch(f"http://127.0.0.1:{port}/health", within_s=20) == "OK" or words
    finally:
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert f"http://127.0.0.1:{port}" in out
    assert "Traceback" not in err


def test_a_taken_port_is_refused_with_another(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["ui", "--port", str(port)]) == 2
    assert f"Try --port {port + 1}" in capsys.readouterr().err
