"""MovieLens (Harper and Konstan 2015) in any of its published layouts, as the three tables.

100K: ``u.data``, ``u.item``, ``u.user``; 1M and 10M: ``ratings.dat``, ``movies.dat`` and, in 1M,
``users.dat``, with ``::`` between columns; 20M, 25M, 32M and latest: ``ratings.csv``,
``movies.csv``; RecBole's: ``*.inter``, ``*.item``, ``*.user`` with types in the first line.

A user's region is the first digit of the zip code (``zip-9`` is the west coast of the USA), or
``all`` where no file tells of users.
"""

from pathlib import Path

from classic.recommend.films import FilmTables
from lifecycle.delimited import header, literal, read, require, select_text
from lifecycle.errors import SourceError

LAYOUTS = {
    "100K": ("u.data", "u.item", "u.user"),
    "1M": ("ratings.dat", "movies.dat", "users.dat"),
    "CSV": ("ratings.csv", "movies.csv", ""),
    "RecBole": (".inter", ".item", ".user"),
}
_FLAGS = (
    "unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy "
    "Film-Noir Horror Musical Mystery Romance Sci-Fi Thriller War Western"
).split()
_EVENT = ("user_id", "film_id", "rating", "time")
_TITLE = r"regexp_replace(title, '\s*\(\d{4}\)\s*$', '') AS title"
_YEAR = r"nullif(regexp_extract(title, '\((\d{4})\)\s*$', 1), '') AS year"
_REGION = "CASE WHEN regexp_matches(zip, '^[0-9]') THEN 'zip-' || zip[1] ELSE 'other' END AS region"


def read_folder(folder: Path) -> FilmTables:
    """The tables of the MovieLens files directly in ``folder``.

    Raises SourceError naming what was looked for where the layout is none of those known.
    """
    layout, ratings, movies, people = _find(folder)
    readers = {"100K": _layout_100k, "1M": _layout_1m, "CSV": _layout_csv, "RecBole": _recbole}
    events, films, users = readers[layout](ratings, movies, people)
    events = f"SELECT *, NULL::VARCHAR AS region FROM ({events})"
    counted = not users
    if counted:
        users = f"SELECT DISTINCT user_id, 'all' AS region, NULL AS age FROM ({events})"
    return FilmTables(read(films), read(users, broken_lines=not counted), events)


def _find(folder: Path) -> tuple[str, Path, Path, Path | None]:
    """Layout, ratings, films and, where there is one, users."""
    if not folder.is_dir():
        raise SourceError(f"there is no folder {folder}.", "Name the unpacked MovieLens folder.")
    there = sorted(path for path in folder.iterdir() if path.is_file())
    for layout, names in LAYOUTS.items():
        ratings, movies, people = (_named(there, name) for name in names)
        if ratings and movies:
            return layout, ratings, movies, people
        if ratings:
            raise SourceError(f"{folder} has {ratings.name} but no {_called(names[1])}.")
    looked = "; ".join(f"{k}: {', '.join(map(_called, v[:2]))}" for k, v in LAYOUTS.items())
    raise SourceError(
        f"{folder} holds no MovieLens layout that is known (looked for {looked}).",
        f"It holds: {', '.join(path.name for path in there[:8]) or 'no files'}.",
    )


def _named(there: list[Path], name: str) -> Path | None:
    """The file of that name, or the first with that suffix."""
    suffix = name.startswith(".")
    return next((p for p in there if (p.suffix if suffix else p.name) == name), None)


def _called(name: str) -> str:
    return f"*{name}" if name.startswith(".") else name


def _layout_100k(ratings: Path, movies: Path, people: Path | None) -> tuple[str, str, str]:
    columns = ("film_id", "title", "released", "video", "url", *_FLAGS)
    items = select_text(movies, "|", columns, quote="")
    named = ", ".join(f"CASE WHEN \"{flag}\" = '1' THEN {literal(flag)} END" for flag in _FLAGS)
    return (
        select_text(ratings, "\t", _EVENT, quote=""),
        f"SELECT film_id, {_TITLE}, {_YEAR}, concat_ws('|', {named}) AS genres FROM ({items})",
        _users(people, "|", ("user_id", "age", "gender", "occupation", "zip")),
    )


def _layout_1m(ratings: Path, movies: Path, people: Path | None) -> tuple[str, str, str]:
    items = select_text(movies, "::", ("film_id", "title", "genres"), quote="")
    return (
        select_text(ratings, "::", _EVENT, quote=""),
        f"SELECT film_id, {_TITLE}, {_YEAR}, genres FROM ({items})",
        _users(people, "::", ("user_id", "gender", "age", "occupation", "zip")),
    )


def _layout_csv(ratings: Path, movies: Path, people: Path | None) -> tuple[str, str, str]:
    require(ratings, header(ratings), ("userId", "movieId", "rating", "timestamp"))
    require(movies, header(movies), ("movieId", "title", "genres"))
    events = "userId AS user_id, movieId AS film_id, rating, timestamp AS time"
    return (
        f"SELECT {events} FROM ({select_text(ratings)})",
        f"SELECT movieId AS film_id, {_TITLE}, {_YEAR}, genres FROM ({select_text(movies)})",
        "",
    )


def _recbole(ratings: Path, movies: Path, people: Path | None) -> tuple[str, str, str]:
    """Genres stand in the column ``class`` (100K) or ``genre`` (others), blanks between them."""
    events = _typed(ratings, ("user_id", "item_id", "rating", "timestamp"))
    items = _typed(movies, ("item_id", "movie_title", "release_year"))
    genre = "class" if '"class"' in items else "genre"
    return (
        f"SELECT user_id, item_id AS film_id, rating, timestamp AS time FROM ({events})",
        "SELECT item_id AS film_id, movie_title AS title, "
        "CAST(TRY_CAST(release_year AS INT) AS VARCHAR) AS year, "
        f"replace({genre}, ' ', '|') AS genres FROM ({items})",
        f"SELECT user_id, {_REGION}, age FROM (SELECT *, zip_code AS zip FROM "
        f"({_typed(people, ('user_id', 'age', 'zip_code'))}))"
        if people
        else "",
    )


def _typed(path: Path, wanted: tuple[str, ...]) -> str:
    """A SELECT under the names without RecBole's types: ``user_id:token`` is ``user_id``."""
    names = {name: name.partition(":")[0] for name in header(path, "\t")}
    require(path, list(names.values()), wanted, "\t")
    columns = ", ".join(f'"{name}" AS "{plain}"' for name, plain in names.items())
    lines = select_text(path, "\t", quote="")
    return f"SELECT {columns} FROM ({lines})"


def _users(path: Path | None, separator: str, columns: tuple[str, ...]) -> str:
    if path is None:
        return ""
    people = select_text(path, separator, columns, quote="")
    return f"SELECT user_id, {_REGION}, age FROM ({people})"
