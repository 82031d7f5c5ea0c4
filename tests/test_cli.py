"""What a person sees who types something: help, and what is said of a wrong word."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import main
from lifecycle.fingerprint import ROOT
from lifecycle.state import State

HEAVY = {"torch", "zenml", "mlflow", "pandas", "transformers", "faiss", "pydantic", "numpy"}


def run(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "run.py", *words],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "MLOPS_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "command", ["", "ask", "models", "new", "promote", "rollback", "serve", "ui"]
)
def test_help_imports_nothing_heavy_and_leaves_no_trace(command: str, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom cli.main import main\n"
        f"try: main({[command, '--help'] if command else ['--help']!r})\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "MLOPS_HOME": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stdout.startswith("usage: run.py")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--pipelin", "rag"], 2, "unknown option '--pipelin'. Did you mean '--pipeline'?"),
        (["--pipeline", "rga"], 2, "there is no pipeline 'rga'. Did you mean 'rag'?"),
        (["aks", "why?"], 2, "unknown command 'aks'. Did you mean 'ask'?"),
        (
            ["--pipeline", "rag", "--use-case", "handbok"],
            2,
            "there is no use case 'handbok'. Did you mean 'handbook'?",
        ),
        (["--pipeline", "rag", "--stack", "locl"], 2, "there is no stack 'locl'. Did you mean"),
        (
            ["--pipeline", "rag", "--set", "retrieval.kk=3"],
            2,
            "unknown key 'retrieval.kk'. Did you mean 'retrieval.k'?",
        ),
        (["promote", "handbook"], 2, "the following arguments are required: --version."),
        (["promote", "handbook", "--version", "two"], 2, "invalid int value: 'two'"),
        (["ask"], 2, "the following arguments are required: question."),
        (["--pipeline", "rag", "--name", "a/b"], 2, "--name 'a/b' cannot name a model."),
        (["--pipeline", "rag", "--name", "notes"], 4, "source.paths is empty"),
        (
            ["--pipeline", "rag", "--name", "notes", "--set", 'source.paths=["nowhere"]'],
            4,
            "source path 'nowhere' does not exist",
        ),
        (["ask", "why?"], 6, "no model named 'handbook' is registered."),
    ],
)
def test_a_wrong_word_gets_one_line_and_a_code(
    words: list[str], code: int, message: str, state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1, errors
    assert errors[0].startswith("error: ")
    assert message in errors[0]


def test_an_error_leaves_the_process_with_its_code(tmp_path: Path) -> None:
    done = run("ask", "why?", home=tmp_path)
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr.count("\n") == 1


def test_debug_shows_the_traceback(state: State) -> None:
    from lifecycle.errors import UsageError

    with pytest.raises(UsageError):
        main(["--pipeline", "rag", "--use-case", "nope", "--debug"])


def test_no_command_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "examples:" in capsys.readouterr().out
