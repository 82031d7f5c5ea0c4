"""What ZenML, imports and process start cost on top of our own work.

    python benchmarks/overhead.py [--runs 3] [--json FILE]

Runs the RAG pipeline on the guides in `docs/` in fresh processes, every step executed
(`--no-cache`) with vectors and databases warm, and once more in the same process. "Ours" is the
time inside our own functions, as each step measures it, their imports included; the rest is
overhead: interpreter, imports, ZenML, output, exit.
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
WORDS = ["--pipeline", "rag", "--name", "overhead", "--no-cache"]
WORDS += ["--set", 'source.paths=["docs"]', "--set", "questions.synthetic=20"]
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


def child(code: str, home: str, out: Path) -> float:
    """Run ``code`` in a fresh process; its wall time in seconds, start and exit included."""
    started = time.perf_counter()
    environment = os.environ | {"MLOPS_HOME": home, "PYTHONPATH": str(ROOT)}
    with open(os.devnull, "w") as nowhere:
        subprocess.run(
            [sys.executable, "-c", code, str(out), json.dumps(WORDS)],
            env=environment,
            cwd=ROOT,
            check=True,
            stdout=nowhere,
            stderr=nowhere,
        )
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as home:
        out = Path(home) / "out.json"
        child(ONCE, home, out)
        for _ in range(options.runs):
            wall = child(ONCE, home, out)
            ours = json.loads(out.read_text())
            child(CHILD, home, out)
            second = json.loads(out.read_text())["second"]
            rows.append(
                {
                    "fresh process": (wall, ours, wall - ours),
                    "second run": (
                        second["wall"],
                        second["ours"],
                        second["wall"] - second["ours"],
                    ),
                }
            )
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
