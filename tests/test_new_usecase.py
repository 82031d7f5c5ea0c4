"""`run.py new usecase`: a schema and a configuration for a table of one's own."""

from pathlib import Path

import pytest
import yaml

from cli.main import main
from lifecycle import usecases
from lifecycle.errors import DataError
from lifecycle.inference import Inferred, infer
from lifecycle.intake import FilesConfig, load_files
from lifecycle.scaffold import classic_yaml, scalar
from lifecycle.stages import validate_table
from lifecycle.state import State
from lifecycle.tables import read_schema

HEAD = "customer_id,zip,age,plan,signed up,active,note,shop,churned\n"


def churn(rows: int = 200) -> str:
    lines = (
        f"{1000 + n},0{n % 90:04},{'' if n % 20 == 0 else 20 + n % 50},{('basic', 'plus')[n % 2]},"
        f"2024-{n % 12 + 1:02}-15,{('yes', 'No')[n % 2]},{f'They said {n} things. ' * 4},one,"
        f"{('stayed', 'left')[n % 3 == 0]}\n"
        for n in range(rows)
    )
    return HEAD + "".join(lines)


def inferred(tmp_path: Path, text: str, target: str) -> Inferred:
    (tmp_path / "data.csv").write_text(text)
    return infer(FilesConfig(path="data.csv"), tmp_path, target)


def test_types_and_roles_are_found(tmp_path: Path) -> None:
    found = inferred(tmp_path, churn(), "churned")
    columns = found.schema.columns
    assert (found.problem, found.rows) == ("binary", 200)
    assert {name: (column.type, column.role) for name, column in columns.items()} == {
        "customer_id": ("integer", "id"),
        "zip": ("category", "feature"),
        "age": ("integer", "feature"),
        "plan": ("category", "feature"),
        "signed up": ("time", "time"),
        "active": ("boolean", "feature"),
        "note": ("text", "ignored"),
        "shop": ("text", "ignored"),
        "churned": ("category", "target"),
    }
    assert columns["customer_id"].unique
    assert columns["age"].nullable
    assert columns["plan"].values == ("basic", "plus")
    assert columns["zip"].values == ()
    assert columns["churned"].values == ("left", "stayed")
    assert found.notes["shop"] == "always 'one': of no use"


@pytest.mark.parametrize(
    ("values", "problem", "kind"),
    [
        (["0", "1"], "binary", "category"),
        (["true", "false"], "binary", "category"),
        (["a", "b", "c"], "multiclass", "category"),
        (["1", "2", "3"], "multiclass", "category"),
        ([str(n) for n in range(40)], "regression", "integer"),
        ([str(n / 7) for n in range(40)], "regression", "number"),
    ],
)
def test_the_target_tells_the_problem(
    values: list[str], problem: str, kind: str, tmp_path: Path
) -> None:
    text = "x,y\n" + "".join(f"{n % 13},{values[n % len(values)]}\n" for n in range(200))
    found = inferred(tmp_path, text, "y")
    assert (found.problem, found.schema.columns["y"].type) == (problem, kind)


def test_days_before_months_are_told_apart(tmp_path: Path) -> None:
    text = "when,y\n" + "".join(f"{n % 28 + 1:02}/{n % 12 + 1:02}/2024,{n}\n" for n in range(100))
    column = inferred(tmp_path, text, "y").schema.columns["when"]
    assert (column.type, column.format) == ("time", "%d/%m/%Y")


def test_a_target_of_one_class_and_one_of_too_many_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the target 'y' has 1 value in 2 rows"):
        inferred(tmp_path, "x,y\n1,a\n2,a\n", "y")
    names = "x,y\n" + "".join(f"{n},name{n}\n" for n in range(60))
    with pytest.raises(DataError, match="60 different values that are no numbers"):
        inferred(tmp_path, names, "y")


def test_wisconsin_is_binary_with_thirty_numbers(tmp_path: Path) -> None:
    from sklearn.datasets import load_breast_cancer

    load_breast_cancer(as_frame=True).frame.to_csv(tmp_path / "data.csv", index=False)
    found = infer(FilesConfig(path="data.csv"), tmp_path, "target")
    assert found.problem == "binary"
    assert len(found.schema.features) == 30
    assert {found.schema.columns[name].type for name in found.schema.features} == {"number"}


def test_names_are_quoted_where_yaml_would_read_something_else() -> None:
    for name in ("plain", "no", "1", "Time_taken(min)", 'a "b": c', "null", "é", "# x"):
        assert yaml.safe_load(f"{{{scalar(name)}: {scalar(name)}}}") == {name: name}


def test_the_command_writes_a_folder_that_reads_its_own_file(
    tmp_path: Path,
    state: State,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(usecases, "FOLDER", tmp_path / "usecases")
    (tmp_path / "data.csv").write_text(churn())
    words = ["new", "usecase", "churn", "--from", str(tmp_path / "data.csv"), "--target", "churned"]
    assert main(words) == 0
    assert "python run.py --pipeline classic --use-case churn" in capsys.readouterr().out
    schema = read_schema(tmp_path / "usecases/churn/schema.yaml")
    config = yaml.safe_load((tmp_path / "usecases/churn/classic.yaml").read_text())
    assert (config["problem"], config["split"]["by"]) == ("binary", "time")
    assert config["learning"]["positive"] == "stayed"
    assert config["gate"]["rules"][0]["metric"] == "log_loss"
    out, good = tmp_path / "out", tmp_path / "good"
    out.mkdir()
    good.mkdir()
    load_files(FilesConfig(path=config["source"]["path"]), tmp_path, out)
    done = validate_table(out, schema.pandera(), tmp_path / "q", 0.0, good, schema)
    assert (done.good, done.bad) == (200, 0)
    assert main(words) == 2
    assert "usecases/churn exists already" in capsys.readouterr().err


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("Churn!", "churned", "'Churn!' cannot name a use case. Use lower-case letters"),
        ("churn", "churn", "has no column 'churn'. Did you mean 'churned'?"),
    ],
)
def test_a_wrong_word_is_answered(
    name: str,
    target: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(usecases, "FOLDER", tmp_path / "usecases")
    (tmp_path / "data.csv").write_text(churn())
    words = ["new", "usecase", name, "--from", str(tmp_path / "data.csv"), "--target", target]
    assert main(words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "usecases").exists()


def test_a_gate_for_a_number_allows_a_hundredth_of_its_spread(tmp_path: Path) -> None:
    text = "x,y\n" + "".join(f"{n % 7},{n}\n" for n in range(100))
    config = yaml.safe_load(classic_yaml(inferred(tmp_path, text, "y"), "trips", tmp_path / "d"))
    assert config["gate"]["rules"][1]["value"] == 0.3
    assert "positive" not in config["learning"]
