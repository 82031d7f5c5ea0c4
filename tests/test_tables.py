"""The schema of a table as YAML: what it refuses, and what it makes of values."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.columns import read
from lifecycle.errors import ConfigError, InvalidDataError
from lifecycle.tables import Column, TableSchema, read_schema
from lifecycle.validation import validate

GOOD = """
columns:
  account: {type: integer, role: id, unique: true}
  age: {type: integer, min: 0, max: 120, nullable: true}
  plan: {type: category, values: [basic, plus, 3]}
  at: {type: time, role: time, max: now}
  name: {type: text, role: ignored, sensitive: true}
  region: {type: category, role: segment}
  spend: {type: number}
  churned: {type: boolean, role: target}
"""


def schema_of(tmp_path: Path, text: str) -> TableSchema:
    (tmp_path / "schema.yaml").write_text(text)
    return read_schema(tmp_path / "schema.yaml")


def rows(**changed: list[str | None]) -> pd.DataFrame:
    columns: dict[str, list[str | None]] = {
        "account": ["1", "2", "3"],
        "age": ["30", None, "41"],
        "plan": ["basic", "plus", "3"],
        "at": ["2024-10-01", "2024-10-01T12:00:00+02:00", "2024-12-01 10:00"],
        "name": ["Ann", "Bob", "Cy"],
        "region": ["north", "north", "south"],
        "spend": ["1.5", "-2", "1e3"],
        "churned": ["yes", "False", "1"],
    }
    return pd.DataFrame(columns | changed, dtype="str")


def test_roles_and_types_are_read(tmp_path: Path) -> None:
    schema = schema_of(tmp_path, GOOD)
    assert schema.target == "churned"
    assert schema.features == ["age", "plan", "spend"]
    assert (schema.ids, schema.segments) == (["account"], ["region"])
    assert (schema.time, schema.label_time) == ("at", "")
    assert schema.sensitive == ["name"]
    assert schema.columns["plan"].values == ("basic", "plus", "3")
    assert TableSchema.model_validate_json(schema.model_dump_json()) == schema


def test_good_rows_come_out_in_the_types_of_the_schema(tmp_path: Path) -> None:
    schema = schema_of(tmp_path, GOOD)
    done = validate(rows(), schema.pandera(), tmp_path / "q", 0.0)
    frame = schema.coerce(done.good)
    assert [str(kind) for kind in frame.dtypes] == [
        "Int64", "Int64", "str", "datetime64[us, UTC]", "str", "str", "float64", "boolean",
    ]  # fmt: skip
    assert frame["at"].dt.hour.tolist() == [0, 10, 10]
    assert frame["churned"].tolist() == [True, False, True]
    assert schema.coerce(rows()).equals(frame)


@pytest.mark.parametrize(
    ("column", "values", "problem"),
    [
        ("account", ["1", "7", "7"], "account 7 is a duplicate"),
        ("account", ["1", "2", None], "account is missing"),
        ("account", ["1", "2", "x"], "account 'x' cannot be read as a whole number"),
        ("age", ["1", "2", "2.5"], "age '2.5' cannot be read as a whole number"),
        ("age", ["1", "2", "121"], "age 121 is above 120"),
        ("age", ["1", "2", "-1"], "age -1 is below 0"),
        ("plan", ["basic", "basic", "gold"], "plan 'gold' is none of basic, plus, 3"),
        ("at", ["2024-10-01", "2024-10-01", "soon"], "at 'soon' cannot be read as a time"),
        ("at", ["2024-10-01"] * 2 + ["2999-01-01"], "is in the future"),
        ("spend", ["1", "2", "inf"], "spend inf is infinite"),
        ("spend", ["1", "2", None], "spend is missing"),
        ("spend", ["1", "2", "1,5"], "spend '1,5' cannot be read as a number"),
        ("churned", ["0", "1", "perhaps"], "churned 'perhaps' cannot be read as true or false"),
    ],
)
def test_a_bad_value_is_set_aside_with_the_reason(
    column: str, values: list[str | None], problem: str, tmp_path: Path
) -> None:
    schema = schema_of(tmp_path, GOOD)
    done = validate(rows(**{column: values}), schema.pandera(), tmp_path / "q", 1.0)
    assert done.bad.index.tolist() == [2]
    assert problem in done.bad["problem"].tolist()[0]
    assert done.bad["name"].tolist() == ["(hidden)"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns: {a: {type: number}}", "no column has the role target"),
        (
            "columns: {a: {type: number, role: target}, b: {type: number, role: target}}",
            "columns 'a', 'b' all have the role target",
        ),
        ("columns: {a: {type: number, rol: target}}", "unknown key 'rol'. Did you mean 'role'?"),
        ("colums: {a: {type: number}}", "unknown key 'colums'. Did you mean 'columns'?"),
        ("columns: {a: {role: target}}", "column 'a': key 'type' is missing"),
        ("columns: {a: {type: nmber, role: target}}", "type='nmber' does not fit"),
        ("columns: {a: number}", "column 'a' is 'number', not a mapping"),
        ("columns: {yes: {type: number}}", "column True is no text. Put its name in quotes."),
        ("columns: {a: {type: category, values: [yes, no]}}", "Put the words in quotes."),
        ("columns: {a: {type: text, sensitive: true}}", "column 'a' is sensitive"),
        ("columns: {a: {type: number, role: time}}", "has the role time but the type number"),
        ("columns: {a: {type: text, role: target}}", "is the target but has the type text"),
        ("columns: {a: {type: text, min: 3}}", "has a min but the type text"),
        ("columns: {a: {type: number, max: now}}", "has max: now but is no time"),
        ("columns: {a: {type: number, min: 3, max: 2}}", "has min=3.0 above max=2.0"),
        ("columns: []", "names no columns"),
        ("", "names no columns"),
    ],
)
def test_a_schema_that_does_not_fit_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        schema_of(tmp_path, text)
    assert message in str(raised.value)
    assert "schema.yaml" in str(raised.value)


def test_coerce_knows_only_its_columns_and_names_a_value_that_it_cannot_read() -> None:
    schema = TableSchema(
        columns={"x": Column(type="number"), "y": Column(type="boolean", role="target")}
    )
    found = schema.coerce(pd.DataFrame({"z": [1], "x": [2]}, index=["row"]))
    assert (found.columns.tolist(), found.index.tolist()) == (["x"], ["row"])
    with pytest.raises(InvalidDataError, match="column 'x': 'two' cannot be read as number"):
        schema.coerce(pd.DataFrame({"x": ["two"]}))


def test_a_time_may_be_written_as_its_format_says() -> None:
    found, unreadable = read(pd.Series(["31/12/2024", "12/31/2024"]), "time", "%d/%m/%Y")
    assert found.iloc[0] == pd.Timestamp("2024-12-31", tz="UTC")
    assert unreadable.tolist() == [False, True]


@given(st.lists(st.none() | st.integers(-(10**18) + 1, 10**18 - 1), min_size=1))
def test_whole_numbers_are_exact(numbers: list[int | None]) -> None:
    text = pd.Series([None if n is None else str(n) for n in numbers], dtype="str")
    found, unreadable = read(text, "integer")
    assert [None if pd.isna(n) else n for n in found] == numbers
    assert not unreadable.any()


@given(st.lists(st.none() | st.floats(allow_nan=False), min_size=1))
def test_numbers_survive_being_text(numbers: list[float | None]) -> None:
    text = pd.Series([None if n is None else repr(n) for n in numbers], dtype="str")
    found, unreadable = read(text, "number")
    wanted = [np.nan if n is None else n for n in numbers]
    assert np.array_equal(found.to_numpy(), np.array(wanted), equal_nan=True)
    assert not unreadable.any()
