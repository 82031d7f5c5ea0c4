"""Every published layout of MovieLens gives the same three tables."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from classic.recommend.films import EVENTS, FILMS, USERS, FilmTables
from classic.recommend.movielens import read_folder
from classic.recommend.warehouse import WarehouseConfig, build, to_interactions
from lifecycle.data import DataStore
from lifecycle.delimited import read
from lifecycle.errors import DataError, SourceError

REAL = Path(__file__).parents[2] / "shared" / "data" / "ml-100k"
FLAGS = "|".join("1" if place in {4, 8} else "0" for place in range(19))

LAYOUTS: dict[str, dict[str, bytes]] = {
    "100K": {
        "u.data": b"1\t10\t3\t881250949\n2\t11\t5\t881250950\n",
        "u.item": (
            f"10|Misérables, Les (1995)|01-Jan-1995||http://x|{FLAGS}\n"
            f'11|"Quoted" film (1996)|||http://x|{FLAGS}\n'
        ).encode("latin-1"),
        "u.user": b"1|24|M|technician|85711\n2|53|F|other|V3N4P\n",
    },
    "1M": {
        "ratings.dat": b"1::10::3::881250949\n2::11::5::881250950\n",
        "movies.dat": (
            "10::Misérables, Les (1995)::Children's|Drama\n"
            '11::"Quoted" film (1996)::Children\'s|Drama\n'
        ).encode("latin-1"),
        "users.dat": b"1::M::24::7::85711\n2::F::53::0::V3N4P\n",
    },
    "CSV": {
        "ratings.csv": (
            b"userId,movieId,rating,timestamp\r\n1,10,3.0,881250949\r\n2,11,5.0,881250950\r\n"
        ),
        "movies.csv": (
            "movieId,title,genres\r\n"
            '10,"Misérables, Les (1995)",Children|Drama\r\n'
            '11,"""Quoted"" film (1996)",Children|Drama\r\n'
        ).encode(),
        "tags.csv": b"userId,movieId,tag,timestamp\n",
    },
    "RecBole": {
        "x.inter": (
            b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
            b"1\t10\t3\t881250949\n2\t11\t5\t881250950.0\n"
        ),
        "x.item": (
            "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
            "10\tMisérables, Les\t1995\tChildren's Drama\n"
            '11\t"Quoted" film\t1996\tChildren\'s Drama\n'
        ).encode(),
        "x.user": (
            b"user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
            b"1\t24\tM\ttechnician\t85711\n2\t53\tF\tother\tV3N4P\n"
        ),
    },
}


def lay(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def rows(tables: FilmTables) -> list[list[str]]:
    return read(f"SELECT {', '.join(EVENTS[:-1])} FROM ({tables.events})").to_numpy().tolist()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_read_whole(layout: str, tmp_path: Path) -> None:
    tables = read_folder(lay(tmp_path, LAYOUTS[layout]))
    assert tuple(tables.films.columns) == FILMS
    assert tuple(tables.users.columns) == USERS
    assert tables.films["title"].tolist() == ["Misérables, Les", '"Quoted" film']
    assert tables.films["year"].tolist() == ["1995", "1996"]
    genres = tables.films["genres"].str.replace("Children's", "Children")
    assert genres.tolist() == ["Children|Drama"] * 2
    assert [row[:2] for row in rows(tables)] == [["1", "10"], ["2", "11"]]
    regions = ["all"] * 2 if layout == "CSV" else ["zip-8", "other"]
    assert tables.users.sort_values("user_id")["region"].tolist() == regions


def test_all_layouts_make_the_same_events(tmp_path: Path) -> None:
    made = []
    for layout, files in LAYOUTS.items():
        tables = read_folder(lay(tmp_path / layout, files))
        store = DataStore(tmp_path / "data")
        built = build(
            tables,
            store,
            layout,
            WarehouseConfig(),
            tmp_path / "q",
            datetime(2025, 1, 1, tzinfo=UTC),
        )
        wanted = ["user_id", "film_id", "rating", "time", "year", "genres"]
        found = store.read(built.events, columns=wanted).to_pylist()
        made.append(sorted(found, key=lambda row: row["time"]))
    assert made[0] == made[1] == made[2] == made[3]
    assert made[0][0] == {
        "user_id": "1",
        "film_id": "10",
        "rating": 3.0,
        "time": 881250949,
        "year": 1995,
        "genres": "Children|Drama",
    }


def test_10m_has_no_file_of_users(tmp_path: Path) -> None:
    files = {name: data for name, data in LAYOUTS["1M"].items() if name != "users.dat"}
    users = read_folder(lay(tmp_path, files)).users.sort_values("user_id")
    assert users["user_id"].tolist() == ["1", "2"]
    assert set(users["region"]) == {"all"}


def test_a_broken_line_of_ratings_is_set_aside_once(tmp_path: Path) -> None:
    ratings = LAYOUTS["CSV"]["ratings.csv"] + b"3,10,4.0\r\n"
    tables = read_folder(lay(tmp_path / "in", LAYOUTS["CSV"] | {"ratings.csv": ratings}))
    config, now = WarehouseConfig(max_bad_share=0.5), datetime(2025, 1, 1, tzinfo=UTC)
    built = build(tables, DataStore(tmp_path / "data"), "ml", config, tmp_path / "q", now)
    assert [(report.good, report.bad) for report in built.reports] == [(2, 0), (2, 0), (2, 1)]


def test_an_unknown_layout_says_what_was_looked_for(tmp_path: Path) -> None:
    lay(tmp_path, {"films.tsv": b"x"})
    with pytest.raises(SourceError, match=r"u\.data.*ratings\.dat.*ratings\.csv.*\*\.inter") as why:
        read_folder(tmp_path)
    assert "films.tsv" in str(why.value)
    with pytest.raises(SourceError, match="there is no folder"):
        read_folder(tmp_path / "nowhere")


def test_half_a_layout_names_the_missing_file(tmp_path: Path) -> None:
    lay(tmp_path, {"ratings.csv": b"userId,movieId,rating,timestamp\n1,1,1,1\n"})
    with pytest.raises(SourceError, match=r"has ratings\.csv but no movies\.csv"):
        read_folder(tmp_path)


def test_a_csv_with_the_wrong_separator_or_without_ratings_is_refused(tmp_path: Path) -> None:
    lay(tmp_path, LAYOUTS["CSV"] | {"ratings.csv": b"userId;movieId;rating;timestamp\n1;1;1;1\n"})
    with pytest.raises(DataError, match=r"ratings\.csv lacks .*separated by ';', not by ','"):
        read_folder(tmp_path)
    lay(tmp_path, {"ratings.csv": b"userId,movieId,timestamp\n1,1,1\n"})
    with pytest.raises(DataError, match=r"lacks column 'rating'.*userId, movieId, timestamp"):
        read_folder(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"needs {REAL.name} beside the project")
def test_the_real_100k_is_used_to_the_last_row(tmp_path: Path) -> None:
    store = DataStore(tmp_path / "data")
    now = datetime(2025, 1, 1, tzinfo=UTC)
    built = build(read_folder(REAL), store, "ml-100k", WarehouseConfig(), tmp_path / "q", now)
    assert [(report.good, report.bad) for report in built.reports] == [
        (1682, 0),
        (943, 0),
        (100_000, 0),
    ]
    assert built.unknown_genres == {}
    interactions = to_interactions(store.read(built.events))
    assert len(interactions) == 100_000
    assert (len(interactions.user_ids), len(interactions.item_ids)) == (943, 1682)
