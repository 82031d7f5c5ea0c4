"""What ZenML, imports and process start cost on top of our own work.

    python benchmarks/overhead.py [--pipeline rag|classic] [--runs 3] [--json FILE]

Runs a pipeline (RAG on the guides in `docs/`, or classic on the simulated films as they come) in a
new state folder ("cold start"), then in fresh processes with vectors and databases warm, every step
executed (`--no-cache`), and once more in the same process. "Ours" is the time inside our own
functions, as each step measures it, their imports included; the rest is overhead: interpreter,
imports, ZenML, output, exit.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORDS = {
    "rag": ["--set", 'source.paths=["docs"]', "--set", "questions.synthetic=20"],
    "classic": [],
}
CHILD = """
import json, sys, time
from cli.main import main
from steps.clock import LEDGER
words = json.loads(sys.argv[2])
main(words)
first = sum(LEDGER.seconds.values())
LEDGER.seconds.clear()
started = time.perf_counter()
main(words)
second = {"wall": time.perf_counter() - started, "ours": sum(LEDGER.seconds.values())}
open(sys.argv[1], "w").write(json.dumps({"first": first, "second": second}))
"""
ONCE = """
import json, runpy, sys
out, sys.argv = sys.argv[1], ["run.py", *json.loads(sys.argv[2])]
try:
    runpy.run_path("run.py", run_name="__main__")
except SystemExit:
    from steps.clock import LEDGER
    open(out, "w").write(json.dumps(sum(LEDGER.seconds.values())))
    raise
"""


def words(pipeline: str) -> list[str]:
    return ["--pipeline", pipeline, "--name", "overhead", "--no-cache", *WORDS[pipeline]]


def child(code: str, home: str, out: Path, arguments: list[str]) -> float:
    """Run ``code`` in a fresh process; its wall time in seconds, start and exit included."""
    started = time.perf_counter()
    environment = os.environ | {"MLOPS_HOME": home, "PYTHONPATH": str(ROOT)}
    with open(os.devnull, "w") as nowhere:
        subprocess.run(
            [sys.executable, "-c", code, str(out), json.dumps(arguments)],
            env=environment,
            cwd=ROOT,
            check=True,
            stdout=nowhere,
            stderr=nowhere,
        )
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pipeline", choices=WORDS, default="rag")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    arguments = words(options.pipeline)
    with tempfile.TemporaryDirectory() as home:
        out = Path(home) / "out.json"

        def once() -> tuple[float, float, float]:
            wall = child(ONCE, home, out, arguments)
            ours = json.loads(out.read_text())
            return wall, ours, wall - ours

        cold = once()
        for _ in range(options.runs):
            fresh = once()
            child(CHILD, home, out, arguments)
            second = json.loads(out.read_text())["second"]
            again = second["wall"], second["ours"], second["wall"] - second["ours"]
            rows.append({"cold start": cold, "fresh process": fresh, "second run": again})
    report = {
        name: dict(
            zip(
                ("wall_s", "ours_s", "overhead_s"),
                (statistics.median(row[name][i] for row in rows) for i in range(3)),
                strict=True,
            )
        )
        for name in rows[0]
    }
    for name, figures in report.items():
        print(f"{name:<14}" + "  ".join(f"{key} {value:6.2f}" for key, value in figures.items()))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
