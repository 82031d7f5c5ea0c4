"""Kills, full disks, concurrent runs and planted faults: the champion always answers."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifecycle.bundle import open_bundle
from lifecycle.fingerprint import ROOT
from lifecycle.promotion import audit_trail, settle
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State
from lifecycle.tracking import Tracker
from rag.predictor import load
from tests.toys import NOTES, write_notes

KILLS = int(os.environ.get("MLOPS_TEST_KILLS", "10"))


class KillServer:
    """Forks runs of the pipeline on ``folder/notes`` with state in ``folder/state``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_notes(folder / "notes")
        environment = os.environ | {
            "MLOPS_HOME": str(folder / "state"),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "kill_server.py")],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == "ready"

    def run(self, **how: Any) -> dict[str, Any]:
        """One run in a child; see ``kill_server``."""
        source = json.dumps([str(self.folder / "notes")])
        words = ["--pipeline", "rag", "--name", "notes", "--set", f"source.paths={source}"]
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"words": words, **how}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._read())
        return answer

    def change_a_document(self, number: int) -> None:
        text = NOTES["bike.txt"] + f"\nTour number {number} went along the river to the old mill.\n"
        (self.folder / "notes" / "bike.txt").write_text(text)

    def tracker(self) -> Tracker:
        state = State(self.folder / "state")
        return tracker_of(load_stack("local", state), state)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillServer]:
    made = KillServer(tmp_path_factory.mktemp("kills"))
    yield made
    made.close()


def answer_of_champion(tracker: Tracker) -> tuple[int, str]:
    champion = tracker.champion("notes")
    assert champion is not None
    predictor = load(tracker.bundle_path(champion))
    return champion.number, predictor.answer("How long should green tea steep?")["answer"]


@pytest.mark.timeout(900)
def test_killed_anywhere_the_champion_answers_and_the_next_run_completes(
    server: KillServer,
) -> None:
    first = server.run()
    assert first["code"] == 0
    rng = random.Random(7)
    server.change_a_document(0)
    whole = server.run()
    assert whole["code"] == 0 and whole["calls"] > 10
    killed = 0
    for number in range(1, KILLS + 1):
        server.change_a_document(number)
        by_count = {"stop": rng.randint(1, whole["calls"])}
        by_time = {"after": rng.uniform(0.05, 1.0) * whole["seconds"]}
        killed += server.run(**(by_count if number % 2 else by_time))["killed"]
        version, answer = answer_of_champion(server.tracker())
        assert version >= 2 and "three minutes" in answer
    assert killed >= KILLS // 2
    server.change_a_document(KILLS + 1)
    assert server.run()["code"] == 0
    tracker = server.tracker()
    champion = tracker.champion("notes")
    assert champion is not None and champion.number == tracker.versions("notes")[-1].number
    settle(tracker, "notes")
    assert {e.outcome for e in audit_trail(tracker, "notes")} <= {"done", "abandoned"}
    for version in tracker.versions("notes"):
        open_bundle(tracker.bundle_path(version))


@pytest.mark.timeout(300)
def test_two_runs_at_once_do_not_corrupt_each_other(server: KillServer) -> None:
    source = json.dumps([str(server.folder / "notes")])
    server.change_a_document(1000)
    words = ["run.py", "--pipeline", "rag", "--name", "notes", "--set", f"source.paths={source}"]
    environment = os.environ | {"MLOPS_HOME": str(server.folder / "state"), "OMP_NUM_THREADS": "1"}
    before = len(server.tracker().versions("notes"))
    both = [
        subprocess.Popen(
            [sys.executable, *words, "--set", f"retrieval.k={k}"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for k in (5, 6)
    ]
    for process in both:
        out, err = process.communicate()
        assert process.returncode == 0, out + err
    tracker = server.tracker()
    assert len(tracker.versions("notes")) == before + 2
    for version in tracker.versions("notes")[-2:]:
        open_bundle(tracker.bundle_path(version))
    number, answer = answer_of_champion(tracker)
    assert number > before and "three minutes" in answer


@pytest.mark.timeout(300)
def test_a_full_disk_leaves_the_champion_and_says_so(server: KillServer, tmp_path: Path) -> None:
    """The state folder is read-only for data and index writes: no new file can be made."""
    before, _ = answer_of_champion(server.tracker())
    server.change_a_document(2000)
    code = (
        "import errno, os, sys\n"
        "real = os.fsync\n"
        "def full(d):\n    raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "os.fsync = full\n"
        "from cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    source = json.dumps([str(server.folder / "notes")])
    words = ["--pipeline", "rag", "--name", "notes", "--set", f"source.paths={source}"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=ROOT,
        env=os.environ | {"MLOPS_HOME": str(server.folder / "state"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 9, done.stderr
    assert "No space left on device" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert answer_of_champion(server.tracker())[0] == before


@pytest.mark.timeout(120)
def test_a_flipped_byte_in_the_champion_is_refused_by_name(server: KillServer) -> None:
    tracker = server.tracker()
    champion = tracker.champion("notes")
    assert champion is not None
    path = tracker.bundle_path(champion) / "dense/vectors.faiss"
    intact = path.read_bytes()
    broken = np.frombuffer(intact, dtype=np.uint8).copy()
    broken[len(broken) // 2] ^= 4
    path.write_bytes(broken.tobytes())
    done = subprocess.run(
        [sys.executable, "run.py", "ask", "How long should green tea steep?", "--name", "notes"],
        cwd=ROOT,
        env=os.environ | {"MLOPS_HOME": str(server.folder / "state")},
        capture_output=True,
        text=True,
        check=False,
    )
    path.write_bytes(intact)
    assert done.returncode == 5
    assert "dense/vectors.faiss was altered" in done.stderr
