"""The RAG pipeline from end to end, through ZenML, MLflow and the files it leaves."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import main
from lifecycle.bundle import open_bundle
from lifecycle.fingerprint import ROOT
from lifecycle.promotion import audit_trail
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State
from lifecycle.tracking import Tracker
from tests.toys import write_notes

HEAVY = set(
    "bm25s datasets duckdb jinja2 langchain langchain_core langchain_openai matplotlib mlflow "
    "numba openai pandas pandera requests rich scipy sentence_transformers sklearn sqlalchemy "
    "torch transformers zenml".split()
)


@pytest.fixture(scope="module", autouse=True)
def notes(home: Path) -> None:
    write_notes(home / "notes")


def words(home: Path) -> list[str]:
    source = json.dumps([str(home / "notes")])
    return ["--pipeline", "rag", "--name", "notes", "--set", f"source.paths={source}"]


def run(home: Path, *more: str) -> int:
    return main([*words(home), *more])


def from_cache(out: str) -> set[str]:
    found = re.search(r"from cache, nothing changed: (.*)", out)
    return set(found[1].split(", ")) if found else set()


def tracker() -> Tracker:
    state = State.from_env()
    return tracker_of(load_stack("local", state), state)


def champion() -> int:
    found = tracker().champion("notes")
    return found.number if found else 0


# The tests of this module tell one story, in order.


def test_a_first_run_ends_with_a_champion(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(home) == 0
    out, err = capfd.readouterr()
    assert "notes version 1 passed its gate and is the champion now." in out
    assert "Next: python run.py ask" in out
    assert "synthetic questions" in err
    for step in "load validate version prepare index evaluate gate register".split():
        assert f"✓ {step}" in err
    assert "WARNING" not in out + err
    assert champion() == 1


def test_nothing_of_it_reaches_the_users_own_zenml_configuration(home: Path) -> None:
    assert (home / "state" / "zenml" / "config.yaml").is_file()
    assert not (ROOT / ".zen").exists()
    assert not (ROOT / "mlruns").exists()


def test_a_rerun_is_served_from_cache_and_says_so(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(home) == 0
    out, _ = capfd.readouterr()
    assert from_cache(out) == {"load", "validate", "version", "prepare", "index", "evaluate"}
    assert "Nothing changed: notes version 1 is this same model" in out
    assert len(tracker().versions("notes")) == 1


def test_one_changed_document_embeds_only_its_own_chunks(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = home / "notes" / "tea.md"
    path.write_text(path.read_text().replace("three minutes", "four minutes"))
    assert run(home) == 0
    out, err = capfd.readouterr()
    embedded, known = map(int, re.search(r"(\d+) embedded, (\d+) known", err).groups())  # type: ignore[union-attr]
    assert 0 < embedded <= 2 < known
    assert "is the champion now" in out
    assert champion() == 2


def test_the_report_is_one_file_that_loads_nothing(home: Path) -> None:
    version = tracker().version("notes", 2)
    html = Path(version.tags["report"]).read_text()
    assert "hybrid" in html and version.tags["data_version"] in html
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]+"', html)


def test_lineage_goes_both_ways(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    version = tracker().version("notes", 2)
    manifest = open_bundle(tracker().bundle_path(version)).manifest
    assert manifest.data_version == version.tags["data_version"]
    assert manifest.gate["passed"] is True
    assert manifest.metrics["hybrid.ndcg@10"]["n"] > 0
    assert main(["models", "notes", "--lineage"]) == 0
    shown = capfd.readouterr().out
    for expected in (manifest.bundle_id, version.run_id, version.tags["report"]):
        assert expected in shown.replace("\n", "")
    assert main(["models", "--data-version", manifest.data_version]) == 0
    assert "notes version 2" in capfd.readouterr().out
    assert main(["models", "--data-version", manifest.data_version[:-1] + "x"]) == 6
    assert f"Did you mean '{manifest.data_version}'?" in capfd.readouterr().err


def test_an_answer_comes_with_citations_that_open(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    question = "How long should green tea steep?"
    assert main(["ask", question, "--name", "notes", "--json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert not answer["abstained"]
    assert "minutes" in answer["answer"]
    cited = answer["citations"][0]
    lines = Path(cited["source"]).read_text().splitlines()
    opened = "\n".join(lines[cited["line_start"] - 1 : cited["line_end"]])
    assert cited["passage"].strip() in opened
    assert main(["ask", question, "--name", "notes"]) == 0
    shown = capfd.readouterr().out
    assert "[1]" in shown and "tea.md" in shown and "notes version 2" in shown


def test_asking_imports_nothing_that_an_answer_does_not_need(home: Path) -> None:
    code = (
        "import sys\nfrom cli.main import main\n"
        "assert main(['ask', 'How long should green tea steep?', '--name', 'notes']) == 0\n"
        "print({name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    answer, modules = done.stdout.rsplit("\n", 2)[:2]
    assert "three minutes" in answer or "four minutes" in answer
    assert "onnxruntime" in modules
    assert not HEAVY & ast.literal_eval(modules)


def test_a_filter_bounds_what_is_cited_and_one_that_fits_nothing_is_told(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ask = ["ask", "How long should green tea steep?", "--name", "notes", "--json", "--filter"]
    assert main([*ask, "uri=*/tea.md", "--filter", "heading=green"]) == 0
    cited = json.loads(capfd.readouterr().out)["citations"]
    assert cited and all(one["heading"] == "Tea > Green tea" for one in cited)
    assert main([*ask, "uri=*/tae.md"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["abstained"]
    assert "No chunk of notes fits the filter uri=*/tae.md." in err
    assert main([*ask, "url=tea.md"]) == 2
    assert "Did you mean 'uri'?" in capfd.readouterr().err


@pytest.mark.parametrize("question", ["", "   "])
def test_an_empty_question_is_an_input_error(
    home: Path, question: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", question, "--name", "notes"]) == 10
    assert "the question is empty" in capfd.readouterr().err


def test_a_question_of_100000_characters_is_answered(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    question = ("how long should green tea steep " * 3200)[:100_000]
    assert main(["ask", question, "--name", "notes", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["citations"] is not None


def test_mlflow_answers_from_the_champion_in_a_fresh_process(home: Path, tmp_path: Path) -> None:
    code = (
        "import mlflow\n"
        "model = mlflow.pyfunc.load_model('models:/notes@champion')\n"
        "print('ANSWER', model.predict(['How long should green tea steep?'])[0]['answer'])"
    )
    uri = f"sqlite:///{State.from_env().mlflow_db}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_TRACKING_URI": uri, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "minutes" in done.stdout.partition("ANSWER")[2]


def test_an_edited_function_invalidates_what_depends_on_it(
    home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In a copy of the project, so that no source of ours is touched."""
    copy = tmp_path / "project"
    parts = ["cli", "lifecycle", "pipelines", "rag", "stacks", "steps", "usecases", "run.py"]
    for part in (*parts, "constraints.txt"):
        source = ROOT / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / part)  # type: ignore[operator]
    path = copy / "rag" / "fusion.py"
    path.write_text(path.read_text() + "\n# edited\n")
    done = subprocess.run(
        [sys.executable, "run.py", *words(home)],
        cwd=copy,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert from_cache(done.stdout) == {"load", "validate", "version", "prepare"}
    assert "✓ evaluate" in done.stderr


def test_a_model_that_fails_is_kept_but_never_served(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = champion()
    rules = '[{rule: min, metric: "hybrid.ndcg@10", value: 1.01, cause: nothing is that good}]'
    assert run(home, "--set", f"gate.rules={rules}", "--set", "retrieval.k=3") == 0
    out = capfd.readouterr().out
    assert "was rejected by its gate" in out
    assert "nothing is that good" in out
    assert champion() == before
    rejected = tracker().versions("notes")[-1]
    assert rejected.tags["gate"] == "rejected"
    again = ["--set", f"gate.rules={rules}", "--set", "retrieval.k=3", "--require-promotion"]
    assert run(home, *again) == 3
    assert tracker().versions("notes")[-1].number == rejected.number
    assert main(["promote", "notes", "--version", str(rejected.number)]) == 6
    assert "was rejected by its gate" in capfd.readouterr().err


def test_promotion_and_rollback_leave_a_trail(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    now = champion()
    assert main(["rollback", "notes", "--reason", "worse in practice"]) == 0
    assert champion() != now
    capfd.readouterr()
    assert main(["models", "notes"]) == 0
    shown = capfd.readouterr().out
    assert "worse in practice" in shown and "rollback" in shown
    assert main(["promote", "notes", "--version", str(now), "--reason", "it was not"]) == 0
    assert champion() == now
    last = audit_trail(tracker(), "notes")[-1]
    assert (last.action, last.after, last.reason) == ("promote", now, "it was not")


def test_an_unknown_metric_in_a_rule_is_named(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rules = '[{rule: min, metric: "hybrid.ndgc@10", value: 0.1}]'
    assert run(home, "--set", f"gate.rules={rules}") == 2
    assert "Did you mean 'hybrid.ndcg@10'?" in capfd.readouterr().err


def test_a_registered_model_lends_its_embedder(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lent = [*words(home), "--name", "lent", "--set"]
    assert main([*lent, "embedding.model=models:/notes@champion"]) == 0
    capfd.readouterr()
    made, own = (
        tracker().bundle_path(tracker().version(name, 1)) / "embedder/model.onnx"
        for name in ("lent", "notes")
    )
    assert made.read_bytes() == own.read_bytes()
    assert main(["ask", "How long should green tea steep?", "--name", "lent"]) == 0
    assert "tea.md" in capfd.readouterr().out
    assert main([*lent, "embedding.model=models:/notse@champion"]) != 0
    assert "Did you mean 'notes'?" in capfd.readouterr().err
    assert main([*lent, "embedding.model=models:/notes"]) != 0
    assert "models:/NAME@champion" in capfd.readouterr().err
