"""Rows that break the schema are set aside with the reason; tables that do, stop the run."""

from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.errors import InvalidDataError, StorageError
from lifecycle.problems import HIDDEN
from lifecycle.validation import Validated, validate

RATINGS = pa.DataFrameSchema(
    {
        "user": pa.Column(str),
        "stars": pa.Column(float, pa.Check.in_range(1, 5), coerce=True),
        "year": pa.Column(
            int, pa.Check(lambda year: year < 2030, error="is in the future"), coerce=True
        ),
    },
    name="ratings",
)


def ratings(**changed: list[Any]) -> pd.DataFrame:
    columns = {"user": ["a", "b", "c"], "stars": [1.0, 3.0, 5.0], "year": [2024, 2024, 2025]}
    return pd.DataFrame(columns | changed)


def problems(result: Validated) -> list[str]:
    return result.bad["problem"].tolist()


def test_good_rows_pass_coerced_and_write_nothing(tmp_path: Path) -> None:
    result = validate(ratings(stars=["1", "2", "5"]), RATINGS, tmp_path / "quarantine", 0.0)
    assert result.good["stars"].tolist() == [1.0, 2.0, 5.0]
    assert result.bad.empty
    assert "problem" in result.bad.columns
    assert result.summary == []
    assert result.bad_share == 0
    assert result.quarantine_file is None
    assert not (tmp_path / "quarantine").exists()


def test_a_bad_row_is_set_aside_with_column_value_and_check(tmp_path: Path) -> None:
    result = validate(ratings(stars=[1.0, 7.0, 5.0]), RATINGS, tmp_path, 0.5)
    assert result.good["user"].tolist() == ["a", "c"]
    assert result.bad["user"].tolist() == ["b"]
    assert problems(result) == ["stars 7.0 fails in_range(1, 5)"]
    assert [str(failure) for failure in result.summary] == [
        "stars fails in_range(1, 5) in 1 row (such as 7.0)"
    ]


def test_all_that_is_wrong_with_a_row_is_said(tmp_path: Path) -> None:
    frame = ratings(user=["a", None, "c"], stars=["x", 9, 2], year=[2024, 2031, 2025])
    result = validate(frame, RATINGS, tmp_path, 1.0)
    assert problems(result) == [
        "stars 'x' cannot be read as a number",
        "user is missing; stars 9.0 fails in_range(1, 5); year 2031 is in the future",
    ]


def test_checks_hidden_behind_a_failed_coercion_still_find_their_rows(tmp_path: Path) -> None:
    result = validate(ratings(year=["2031", "soon", "2024"]), RATINGS, tmp_path, 1.0)
    assert problems(result) == [
        "year 2031 is in the future",
        "year 'soon' cannot be read as a whole number",
    ]
    assert result.good["year"].tolist() == [2024]


def test_a_missing_number_is_called_missing(tmp_path: Path) -> None:
    result = validate(ratings(year=[2024, None, 2025]), RATINGS, tmp_path, 1.0)
    assert problems(result) == ["year is missing"]
    assert result.good["year"].tolist() == [2024, 2025]


def test_duplicates_are_rows_that_fail(tmp_path: Path) -> None:
    one = pa.DataFrameSchema({"id": pa.Column(int, unique=True)}, name="one")
    pair = pa.DataFrameSchema({"id": pa.Column(int), "at": pa.Column(int)}, unique=["id", "at"])
    frame = pd.DataFrame({"id": [1, 2, 2], "at": [1, 5, 5]})
    assert problems(validate(frame, one, tmp_path, 1.0)) == ["id 2 is a duplicate"] * 2
    assert problems(validate(frame, pair, tmp_path, 1.0)) == ["repeats another row's id, at"] * 2


def test_a_check_over_several_columns_names_itself_once(tmp_path: Path) -> None:
    schema = pa.DataFrameSchema(
        {"start": pa.Column(int), "end": pa.Column(int)},
        checks=pa.Check(
            lambda frame: frame["start"] <= frame["end"], error="ends before it starts"
        ),
    )
    result = validate(pd.DataFrame({"start": [1, 9], "end": [2, 3]}), schema, tmp_path, 1.0)
    assert problems(result) == ["ends before it starts"]
    assert str(result.summary[0]) == "ends before it starts in 1 row"


def test_the_index_of_the_rows_is_kept_even_where_it_repeats(tmp_path: Path) -> None:
    frame = ratings(stars=[1.0, 7.0, 5.0]).set_axis(["x", "x", "y"], axis=0)
    result = validate(frame, RATINGS, tmp_path, 1.0)
    assert result.good.index.tolist() == ["x", "y"]
    assert result.bad.index.tolist() == ["x"]


def test_the_quarantine_file_holds_the_rows_as_they_came(tmp_path: Path) -> None:
    result = validate(ratings(stars=["1", "7,5", "5"]), RATINGS, tmp_path / "q", 0.5)
    assert result.quarantine_file is not None
    assert result.quarantine_file.parent == tmp_path / "q"
    written = pd.read_csv(result.quarantine_file, dtype=str)
    assert written.to_dict("records") == [
        {
            "row": "1",
            "user": "b",
            "stars": "7,5",
            "year": "2024",
            "problem": "stars '7,5' cannot be read as a number",
        }
    ]


def test_the_same_bad_rows_give_the_same_file(tmp_path: Path) -> None:
    frame = ratings(stars=[1.0, 7.0, 5.0])
    first = validate(frame, RATINGS, tmp_path, 1.0).quarantine_file
    assert validate(frame, RATINGS, tmp_path, 1.0).quarantine_file == first
    assert len(list(tmp_path.iterdir())) == 1


def test_too_many_bad_rows_stop_the_run_and_name_count_reasons_and_file(tmp_path: Path) -> None:
    frame = ratings(user=["a", None, "c"], stars=[9.0, 8.0, 5.0])
    with pytest.raises(InvalidDataError) as raised:
        validate(frame, RATINGS, tmp_path, 0.5)
    message = str(raised.value)
    assert "2 of 3 rows of table 'ratings' (66.7%) break the schema" in message
    assert "above the allowed 50.0%" in message
    assert (
        "stars fails in_range(1, 5) in 2 rows (such as 9.0, 8.0); user is missing in 1 row"
        in message
    )
    (file,) = tmp_path.iterdir()
    assert str(file) in message


def test_a_share_at_the_limit_passes(tmp_path: Path) -> None:
    frame = pd.concat([ratings(), ratings(stars=[1.0, 3.0, 9.0])])
    assert validate(frame, RATINGS, tmp_path, 1 / 6).bad_share == pytest.approx(1 / 6)


def test_one_row_in_ten_broken_is_reported_in_full(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": "u", "stars": 3.0, "year": 2024}, index=range(20_000))
    frame.loc[::10, "stars"] = 0.0
    result = validate(frame, RATINGS, tmp_path, 0.1)
    assert result.summary[0].rows == len(result.bad) == 2_000
    assert len(result.good) == 18_000


def test_missing_columns_are_named_with_the_misspelt_one(tmp_path: Path) -> None:
    frame = ratings().rename(columns={"stars": "star"}).drop(columns="year")
    with pytest.raises(InvalidDataError) as raised:
        validate(frame, RATINGS, tmp_path, 1.0)
    message = str(raised.value)
    assert "lacks column 'stars' (is it the one called 'star'?), column 'year'." in message
    assert "Its columns are: user, star." in message


def test_a_csv_read_with_the_wrong_separator_shows_its_one_column(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="Its columns are: user;stars;year"):
        validate(pd.DataFrame({"user;stars;year": ["a;1;2"]}), RATINGS, tmp_path, 1.0)


def test_a_column_of_a_type_that_is_not_coerced_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="column 'user' is int64, not str"):
        validate(ratings(user=[1, 2, 3]), RATINGS, tmp_path, 1.0)
    assert not list(tmp_path.iterdir())


def test_columns_that_a_strict_schema_does_not_know_are_named(tmp_path: Path) -> None:
    strict = pa.DataFrameSchema({"a": pa.Column(int)}, strict=True, name="s")
    with pytest.raises(
        InvalidDataError, match="'b' is not part of it; column 'c' is not part of it"
    ):
        validate(pd.DataFrame({"a": [1], "b": [1], "c": [1]}), strict, tmp_path, 1.0)


def test_a_check_of_the_whole_column_stops_the_run(tmp_path: Path) -> None:
    both = pa.Check(lambda labels: labels.nunique() > 1, error="has only one class")
    schema = pa.DataFrameSchema({"label": pa.Column(int, both)})
    with pytest.raises(InvalidDataError, match="column 'label': has only one class"):
        validate(pd.DataFrame({"label": [1, 1]}), schema, tmp_path, 1.0)


def test_a_table_without_rows_passes(tmp_path: Path) -> None:
    result = validate(ratings().iloc[:0], RATINGS, tmp_path, 0.0)
    assert len(result.good) == result.bad_share == 0


def test_values_of_sensitive_columns_appear_nowhere(tmp_path: Path) -> None:
    schema = pa.DataFrameSchema(
        {"name": pa.Column(str, pa.Check.str_length(max_value=3), metadata={"sensitive": True})}
    )
    frame = pd.DataFrame({"name": ["Ann", "Roberta", "Bob"]})
    result = validate(frame, schema, tmp_path, 1.0)
    assert result.quarantine_file is not None
    assert result.good["name"].tolist() == ["Ann", "Bob"]
    assert result.bad["name"].tolist() == [HIDDEN]
    assert "Roberta" not in result.quarantine_file.read_text() + str(result.summary)
    with pytest.raises(InvalidDataError) as raised:
        validate(frame, schema, tmp_path, 0.0)
    assert "Roberta" not in str(raised.value)


def test_a_column_called_problem_is_kept(tmp_path: Path) -> None:
    schema = pa.DataFrameSchema({"problem": pa.Column(str, pa.Check.str_length(max_value=5))})
    result = validate(pd.DataFrame({"problem": ["printer"]}), schema, tmp_path, 1.0)
    assert result.bad["problem"].tolist() == ["printer"]
    assert result.bad["problem_"].tolist() == ["problem 'printer' fails str_length(None, 5)"]


def test_long_values_are_cut_in_the_reason_and_kept_in_the_file(tmp_path: Path) -> None:
    schema = pa.DataFrameSchema({"text": pa.Column(str, pa.Check.str_length(max_value=5))})
    result = validate(pd.DataFrame({"text": ["x" * 5000]}), schema, tmp_path, 1.0)
    assert len(problems(result)[0]) < 120
    assert result.bad["text"].tolist() == ["x" * 5000]


def test_text_that_is_no_valid_unicode_is_quarantined_too(tmp_path: Path) -> None:
    frame = ratings(user=["\ud800", None, 1], stars=[9.0, 1.0, 1.0])
    schema = pa.DataFrameSchema({"stars": pa.Column(float, pa.Check.in_range(1, 5))})
    result = validate(frame, schema, tmp_path, 1.0)
    assert result.quarantine_file is not None
    assert "\\ud800" in result.quarantine_file.read_text()


def test_a_quarantine_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        validate(ratings(stars=[1.0, 7.0, 5.0]), RATINGS, tmp_path / "file", 1.0)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.text("ab", max_size=2),
            st.none() | st.sampled_from(["x", "7"]) | st.floats(),
            st.none() | st.integers(2020, 2040),
        ),
        max_size=8,
    )
)
def test_no_row_is_lost_or_changed_sides(tmp_path: Path, rows: list[tuple[Any, ...]]) -> None:
    frame = pd.DataFrame(rows, columns=["user", "stars", "year"], dtype=object)
    frame["user"] = frame["user"].astype("str")
    result = validate(frame, RATINGS, tmp_path, 1.0)
    assert sorted([*result.good.index, *result.bad.index]) == list(range(len(rows)))
    assert result.good.index.is_monotonic_increasing
    assert result.bad.index.is_monotonic_increasing
    assert all(problems(result))
    assert RATINGS.validate(result.good).equals(result.good)
    assert sum(failure.rows for failure in result.summary) >= len(result.bad)
