"""What a usable film and a usable user are, and what genres are called."""

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import Column, DataFrameSchema

GENRES = (
    "Action Adventure Animation Children Comedy Crime Documentary Drama Fantasy Film-Noir Horror "
    "IMAX Musical Mystery Romance Sci-Fi Thriller War Western"
).split()
OTHER = "Other"
_NO_GENRE = {"", "unknown", "(no genres listed)"}
_KNOWN = {name.casefold(): name for name in GENRES} | {"children's": "Children"}
REGION = r"[A-Za-z0-9_-]{1,32}"


def films() -> "DataFrameSchema":
    from pandera.pandas import Check, Column, DataFrameSchema

    return DataFrameSchema(
        {
            "film_id": _id(),
            "title": Column(str, Check.str_length(min_value=1)),
            "year": Column(float, Check.in_range(1870, 2100), nullable=True, coerce=True),
            "genres": Column(str, nullable=True),
        },
        name="films",
    )


def users() -> "DataFrameSchema":
    from pandera.pandas import Check, Column, DataFrameSchema

    return DataFrameSchema(
        {
            "user_id": _id(),
            "region": Column(str, Check.str_matches(f"^{REGION}$")),
            "age": Column(float, Check.in_range(0, 120), nullable=True, coerce=True),
        },
        name="users",
    )


def genres(column: "pd.Series[str]") -> tuple["pd.Series[str]", dict[str, int]]:
    """Genres under their common names, ``|`` between them, and how often each unknown one came.

    A genre that nobody knows becomes ``Other``: the film is still a film.
    """
    unknown: Counter[str] = Counter()

    def known(text: str) -> str:
        names = [name.strip() for name in text.split("|")]
        names = [name for name in names if name.casefold() not in _NO_GENRE]
        unknown.update(name for name in names if name.casefold() not in _KNOWN)
        return "|".join(dict.fromkeys(_KNOWN.get(name.casefold(), OTHER) for name in names))

    return column.fillna("").map(known).astype("str"), dict(unknown.most_common())


def _id() -> "Column":
    """The first row of an id stays, later ones are duplicates."""
    from pandera.pandas import Check, Column

    nonempty = Check.str_length(min_value=1)
    return Column(str, nonempty, unique=True, report_duplicates="exclude_first")
