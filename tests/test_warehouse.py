"""The warehouse: windows are versions, broken rows are set aside with reasons and counts."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classic.recommend.films import FilmTables, read_users, service_files
from classic.recommend.service_files import write
from classic.recommend.simulate import SimulationConfig, simulate
from classic.recommend.warehouse import Warehouse, WarehouseConfig, build, to_interactions
from lifecycle.data import DataStore
from lifecycle.errors import ConfigError, DataError, InvalidDataError, SourceError

NOW = datetime(2025, 1, 1, tzinfo=UTC)
FILMS = [
    "film_id,title,year,genres",
    "f1,Alpha,1999,Drama|War",
    'f2,"Beta, the second",,Comedy',
    "f3,Gamma,2020,",
]
EVENTS = [
    "user_id,film_id,rating,time,region",
    "u1,f1,4,2024-10-01T08:00:00Z,eu",
    "u2,f1,3.5,2024-10-02T08:00:00+02:00,us",
    "u1,f2,5,1733000000,",
    "u2,f3,1,2024-12-31 23:59:59,us",
    "u2,f2,2,2024-10-02T08:00:00+02:00,us",
]
USERS = [{"user_id": "u1", "region": "eu", "age": 30}, {"user_id": "u2", "region": "us"}]


def lay(folder: Path, films: list[str] = FILMS, events: list[str] = EVENTS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "catalogue.csv").write_text("\n".join(films) + "\n")
    (folder / "events.csv").write_text("\n".join(events) + "\n")
    pages = [{"page": n, "pages": 2, "users": [user]} for n, user in enumerate(USERS, start=1)]
    (folder / "users.json").write_text(json.dumps(pages))
    return folder


def made(root: Path, tables: FilmTables | None = None, **changed: object) -> Warehouse:
    tables = tables or service_files(lay(root / "in"))
    config = WarehouseConfig.model_validate(changed)
    return build(tables, DataStore(root / "data"), "movies", config, root / "quarantine", NOW)


def failures(built: Warehouse, table: int = 2) -> list[str]:
    return [str(failure) for failure in built.reports[table].failures]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The warehouse of the files as ``lay`` writes them."""
    return made(tmp_path_factory.mktemp("good"))


def test_events_are_joined_and_parted_by_month_and_region(tmp_path: Path) -> None:
    built = made(tmp_path)
    keys = [part.key for part in built.events.partitions]
    assert keys == ["2024-10/eu", "2024-10/us", "2024-11/eu", "2024-12/us"]
    store = DataStore(tmp_path / "data")
    rows = store.read(built.events).to_pylist()
    assert rows[0] == {
        "user_id": "u1",
        "film_id": "f1",
        "rating": 4.0,
        "time": int(datetime(2024, 10, 1, 8, tzinfo=UTC).timestamp()),
        "region": "eu",
        "age": 30,
        "year": 1999,
        "genres": "Drama|War",
    }
    assert rows[1]["time"] == rows[2]["time"] == rows[0]["time"] + 22 * 3600
    assert [row["film_id"] for row in rows] == ["f1", "f1", "f2", "f2", "f3"]
    assert store.read(built.films)["title"].to_pylist() == ["Alpha", "Beta, the second", "Gamma"]
    assert store.read(built.users)["age"].to_pylist() == [30, None]
    assert built.events.context == {"films": built.films.id, "users": built.users.id}
    assert [(report.good, report.bad) for report in built.reports] == [(3, 0), (2, 0), (5, 0)]
    store.verify(built.events)


def test_two_windows_are_two_versions_and_the_same_content_is_one(tmp_path: Path) -> None:
    october = made(tmp_path, window="2024-10")
    december = made(tmp_path, window="2024-12")
    assert october.events.id != december.events.id
    assert october.films.id == december.films.id
    assert [part.key for part in october.events.partitions] == ["2024-10/eu", "2024-10/us"]
    assert [part.key for part in december.events.partitions] == ["2024-12/us"]
    assert made(tmp_path / "elsewhere", window="2024-10").events.id == october.events.id
    span = made(tmp_path, window="2024-10:2024-11").events
    assert {part.sha256 for part in october.events.partitions} < {
        part.sha256 for part in span.partitions
    }


def test_another_catalogue_makes_another_version(good: Warehouse, tmp_path: Path) -> None:
    retitled = [line.replace("Gamma", "Gamma Two") for line in FILMS]
    other = service_files(lay(tmp_path / "other", films=retitled))
    assert made(tmp_path, other).events.id != good.events.id


@pytest.mark.parametrize("window", ["2024", "2024-13", "2024-12:2024-10", "October"])
def test_what_is_no_window_is_refused(window: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no month"):
        made(tmp_path, window=window)


def test_a_window_without_events_says_which_months_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'2023-05'\. There are 2024-10 to 2024-12\."):
        made(tmp_path, window="2023-05")


def test_the_simulated_service_goes_through_whole(tmp_path: Path) -> None:
    simulation = simulate(SimulationConfig(users=200, films=100, events=4_000, start="2023-10"))
    write(simulation, tmp_path / "in")
    built = made(tmp_path, service_files(tmp_path / "in"))
    assert [report.bad for report in built.reports] == [0, 0, 0]
    interactions = to_interactions(DataStore(tmp_path / "data").read(built.events))
    assert np.array_equal(interactions.times, simulation.times)
    assert interactions.ratings.mean() == pytest.approx(simulation.ratings.mean())
    assert len(interactions.user_ids) == len(np.unique(simulation.users))


BROKEN = {
    "u9,f1,4,1727800000,eu": "user_id is not among the users in 1 row (such as 'u9')",
    ",f1,4,1727800000,eu": "user_id is missing in 1 row",
    "u1,f9,4,1727800000,eu": "film_id is not in the catalogue in 1 row (such as 'f9')",
    "u1,f1,5.5,1727800000,eu": "rating is not within 0.5 to 5 in 1 row (such as '5.5')",
    "u1,f1,nan,1727800000,eu": "rating is not within 0.5 to 5 in 1 row (such as 'nan')",
    "u1,f1,good,1727800000,eu": "rating cannot be read as a number in 1 row (such as 'good')",
    "u1,f1,,1727800000,eu": "rating is missing in 1 row",
    "u1,f1,4,1800000000,eu": "time is in the future in 1 row (such as '1800000000')",
    "u1,f1,4,1e15,eu": "time is in the future in 1 row (such as '1e15')",
    "u1,f1,4,infinity,eu": "time cannot be read as a time in 1 row (such as 'infinity')",
    "u1,f1,4,-5,eu": "time is before 1970 in 1 row (such as '-5')",
    "u1,f1,4,yesterday,eu": "time cannot be read as a time in 1 row (such as 'yesterday')",
    "u1,f1,4,1e30,eu": "time cannot be read as a time in 1 row (such as '1e30')",
    "u1,f1,4,,eu": "time is missing in 1 row",
    "u1,f1,4,1727800000,e/u": "region is no short name in 1 row (such as 'e/u')",
    EVENTS[1]: "repeats another row's user_id, film_id, time in 1 row",
    "u1,f1": "cannot be split into its columns in 1 row",
    "u1,f1,4,1727800000,eu,more": "cannot be split into its columns in 1 row",
}


@pytest.mark.parametrize("line", BROKEN)
def test_a_broken_event_is_set_aside_with_its_reason(
    line: str, good: Warehouse, tmp_path: Path
) -> None:
    built = made(tmp_path, service_files(lay(tmp_path / "in", events=[*EVENTS, line])))
    assert failures(built) == [BROKEN[line]]
    assert (built.reports[2].good, built.reports[2].bad) == (5, 1)
    file = built.reports[2].quarantine_file
    assert file is not None
    header, row = file.read_text().splitlines()
    assert header == "row,user_id,film_id,rating,time,region,problem"
    reason = BROKEN[line].partition(" in 1 row")[0]
    assert reason in row
    assert built.events.id == good.events.id


def test_all_that_is_wrong_with_an_event_is_said(tmp_path: Path) -> None:
    lines = [*EVENTS, "u9,f9,9,1800000000,eu"]
    built = made(tmp_path, service_files(lay(tmp_path / "in", events=lines)))
    file = built.reports[2].quarantine_file
    assert file is not None
    assert (
        file.read_text()
        .splitlines()[1]
        .endswith(
            "user_id is not among the users; film_id is not in the catalogue; "
            "rating is not within 0.5 to 5; time is in the future"
        )
    )
    assert len(failures(built)) == 4


def tenth_broken() -> list[str]:
    good = [f"u{1 + n % 2},f{1 + n % 3},3,{1727800000 + n},eu" for n in range(90)]
    return [EVENTS[0], *good, *(f"u1,f1,{9 + n},1727800000,eu" for n in range(10))]


def test_a_tenth_of_broken_rows_is_reported_and_more_than_allowed_refused(tmp_path: Path) -> None:
    tables = service_files(lay(tmp_path / "in", events=tenth_broken()))
    built = made(tmp_path, tables, max_bad_share=0.1)
    assert (built.reports[2].good, built.reports[2].bad) == (90, 10)
    assert failures(built)[0] == (
        "rating is not within 0.5 to 5 in 10 rows (such as '9', '10', '11')"
    )
    with pytest.raises(InvalidDataError, match=r"10 of 100 rows of table 'events' \(10\.0%\)") as e:
        made(tmp_path, tables, max_bad_share=0.09)
    assert str(built.reports[2].quarantine_file) in str(e.value)
    assert len(list((tmp_path / "quarantine").iterdir())) == 1


def test_of_duplicate_ids_the_first_stays(good: Warehouse, tmp_path: Path) -> None:
    films = [*FILMS, "f1,Alpha again,1999,Drama", ",Nameless,2000,Drama", "f4,Old,1066,War"]
    built = made(tmp_path, service_files(lay(tmp_path / "in", films=films)), max_bad_share=0.5)
    assert sorted(failures(built, 0)) == [
        "film_id is a duplicate in 1 row (such as 'f1')",
        "film_id is missing in 1 row",
        "year fails in_range(1870, 2100) in 1 row (such as 1066.0)",
    ]
    assert built.films.id == good.films.id
    with pytest.raises(InvalidDataError, match="3 of 6 rows of table 'films'"):
        made(tmp_path, service_files(tmp_path / "in"), max_bad_share=0.4)


def test_a_line_of_the_catalogue_that_does_not_split_is_set_aside(
    good: Warehouse, tmp_path: Path
) -> None:
    films = [*FILMS, "f4,Delta, the fourth,2000,Drama"]
    built = made(tmp_path, service_files(lay(tmp_path / "in", films=films)), max_bad_share=0.3)
    assert (built.reports[0].good, built.reports[0].bad) == (3, 1)
    assert "film_id is missing in 1 row" in failures(built, 0)
    file = built.reports[0].quarantine_file
    assert file is not None
    assert "f4,Delta, the fourth,2000,Drama" in file.read_text()
    assert built.films.id == good.films.id


def test_unknown_genres_become_other_and_are_counted(tmp_path: Path) -> None:
    films = [*FILMS, "f4,Delta,2000,drama|Anime|Children's", "f5,E,2000,Anime|Telenovela"]
    built = made(tmp_path, service_files(lay(tmp_path / "in", films=films)))
    assert built.unknown_genres == {"Anime": 2, "Telenovela": 1}
    found = DataStore(tmp_path / "data").read(built.films)["genres"].to_pylist()
    assert found == ["Drama|War", "Comedy", "", "Drama|Other|Children", "Other"]


Damage = Callable[[Path], object]
REFUSED: dict[str, tuple[Damage, str]] = {
    "empty catalogue": (
        lambda at: (at / "catalogue.csv").write_text(""),
        r"catalogue\.csv is empty",
    ),
    "only a header": (
        lambda at: (at / "catalogue.csv").write_text(FILMS[0] + "\n"),
        r"table 'films' has no rows",
    ),
    "no file": (lambda at: (at / "events.csv").unlink(), r"there is no file .*events\.csv"),
    "empty events": (lambda at: (at / "events.csv").write_text(""), r"events\.csv is empty"),
    "no event": (
        lambda at: (at / "events.csv").write_text(EVENTS[0] + "\n"),
        r"table 'events' has no rows",
    ),
    "separator": (
        lambda at: (at / "catalogue.csv").write_text("\n".join(FILMS).replace(",", ";")),
        r"catalogue\.csv lacks columns 'film_id', .*separated by ';', not by ','",
    ),
    "target missing": (
        lambda at: (at / "events.csv").write_text("user_id,film_id,time\nu1,f1,1\n"),
        r"events\.csv lacks column 'rating'\. Its columns are: user_id, film_id, time",
    ),
    "twice the same column": (
        lambda at: (at / "events.csv").write_text("user_id,user_id,time\nu1,f1,1\n"),
        r"the first line names column 'user_id' twice",
    ),
    "truncated JSON": (
        lambda at: (at / "users.json").write_text((at / "users.json").read_text()[:-9]),
        r"users\.json is no complete JSON.*cut short",
    ),
    "pages missing": (
        lambda at: (at / "users.json").write_text('[{"page": 1, "pages": 3, "users": []}]'),
        r"users\.json holds pages 1 of 3\.",
    ),
    "no pages": (
        lambda at: (at / "users.json").write_text('[{"users": [{"user_id": "u1"}]}]'),
        r"users\.json is no export of users: KeyError 'page'",
    ),
    "users as text": (
        lambda at: (at / "users.json").write_text('[{"page": 1, "pages": 1, "users": ["u1"]}]'),
        r"users\.json is no export of users",
    ),
    "no users": (
        lambda at: (at / "users.json").write_text('[{"page": 1, "pages": 1, "users": []}]'),
        r"table 'users' has no rows",
    ),
    "no Parquet": (
        lambda at: (at / "events.parquet").write_bytes(b"PAR1 no"),
        r"events\.parquet is no readable Parquet file",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_damaged_file_is_refused_by_name(case: str, tmp_path: Path) -> None:
    damage, message = REFUSED[case]
    damage(lay(tmp_path / "in"))
    with pytest.raises(DataError, match=message):
        made(tmp_path, service_files(tmp_path / "in"))


def test_no_folder_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no file .*catalogue\.csv"):
        service_files(tmp_path / "nowhere")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "utf-8"])
def test_a_byte_order_mark_and_latin_1_are_read(encoding: str, tmp_path: Path) -> None:
    lay(tmp_path / "in")
    films = "\n".join(FILMS).replace("Gamma", "Misérables")
    (tmp_path / "in" / "catalogue.csv").write_bytes(films.encode(encoding))
    events = (tmp_path / "in" / "events.csv").read_text()
    (tmp_path / "in" / "events.csv").write_bytes(events.encode(encoding))
    users = (tmp_path / "in" / "users.json").read_text()
    (tmp_path / "in" / "users.json").write_text(users, encoding="utf-8-sig")
    built = made(tmp_path, service_files(tmp_path / "in"))
    assert DataStore(tmp_path / "data").read(built.films)["title"].to_pylist()[2] == "Misérables"
    assert [report.bad for report in built.reports] == [0, 0, 0]


def test_parquet_of_other_types_and_without_region_is_the_same(tmp_path: Path) -> None:
    lay(tmp_path / "in")
    expected = made(tmp_path)
    store = DataStore(tmp_path / "data")
    table = store.read(expected.events, columns=["user_id", "film_id", "rating", "time"])
    seconds = table["time"].cast(pa.timestamp("s", "Asia/Kolkata"))
    pq.write_table(table.set_column(3, "time", seconds), tmp_path / "in" / "events.parquet")
    assert made(tmp_path, service_files(tmp_path / "in")).events.id == expected.events.id


def test_numbers_as_ids_in_json_are_text(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    path.write_text('[{"page": 1, "pages": 1, "users": [{"user_id": 7, "region": "eu"}]}]')
    assert read_users(path)["user_id"].tolist() == ["7"]


def test_a_file_larger_than_the_memory_allowed_goes_through(tmp_path: Path) -> None:
    lay(tmp_path / "in")
    path = tmp_path / "in" / "events.csv"
    rows = "SELECT 'u' || 1 + i % 2 AS user_id, 'f' || 1 + i % 3 AS film_id, 4 AS rating, "
    rows += "1727740800 + i AS time, 'eu' AS region FROM range(800000) t(i)"
    duckdb.execute(f"COPY ({rows}) TO '{path}' (HEADER)")
    assert path.stat().st_size > 17e6
    built = made(tmp_path, service_files(tmp_path / "in"), memory_limit="100MB")
    assert (built.events.rows, built.reports[2].bad) == (800_000, 0)
    assert not list((tmp_path / "data" / ".spill").iterdir())


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.sampled_from("cabé"), st.sampled_from("yxz"), st.integers(0, 5)), min_size=1
    )
)
def test_interactions_are_the_rows_in_order_of_time_under_sorted_ids(
    rows: list[tuple[str, str, int]],
) -> None:
    users, films, times = zip(*rows, strict=True)
    stars = np.arange(len(rows), dtype=np.float32)
    made = to_interactions(
        pa.table({"user_id": users, "film_id": films, "time": times, "rating": stars})
    )
    assert made.user_ids == sorted(set(users))
    assert made.item_ids == sorted(set(films))
    back = [
        (made.user_ids[user], made.item_ids[item], int(time))
        for user, item, time in zip(made.users, made.items, made.times, strict=True)
    ]
    assert back == sorted(rows, key=lambda row: row[2])
    assert made.ratings.tolist() == sorted(range(len(rows)), key=times.__getitem__)


def test_a_missing_column_of_events_is_named() -> None:
    with pytest.raises(DataError, match="no column 'rating'"):
        to_interactions(pa.table({"user_id": ["a"], "film_id": ["b"], "time": [1]}))
