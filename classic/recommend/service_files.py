"""A simulation written as the files that a streaming service would export; see ``films.py``."""

import csv
import json
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np

from classic.recommend.films import CATALOGUE_FILE, EVENTS_FILE, FILMS, USERS_FILE
from classic.recommend.schema import GENRES
from classic.recommend.simulate import Simulation
from lifecycle import atomic

PAGE = 500
_FIRST = "Quiet Last Golden Broken Hidden Lost Silent Burning Frozen Distant Secret Crooked".split()
_SECOND = "Harbour Winter Garden Mirror Road Letter Island Castle Witness Summer Orchard".split()


def write(simulation: Simulation, folder: Path) -> None:
    """Catalogue, users and events of ``simulation`` into ``folder``; each file is replaced whole.

    Raises StorageError where the disk refuses.
    """
    atomic.write_text(folder / CATALOGUE_FILE, _catalogue(simulation))
    atomic.write_text(folder / USERS_FILE, json.dumps(_pages(simulation)))
    atomic.write_bytes(folder / EVENTS_FILE, _events(simulation))


def film_id(number: int) -> str:
    return f"f{number:06}"


def user_id(number: int) -> str:
    return f"u{number:07}"


def _catalogue(simulation: Simulation) -> str:
    films, (first, *_) = simulation.truth.films, simulation.config.start.split("-")
    released = films.released.astype("datetime64[s]").astype("datetime64[Y]").astype(int) + 1970
    old = films.released == films.released.min()
    # Films that were out before the first month are up to forty years old, by their number.
    years = np.where(old, int(first) - 1 - np.arange(len(old)) * 7 % 40, released)
    text = StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(FILMS)
    for number, (year, flags) in enumerate(zip(years.tolist(), films.genres, strict=True)):
        genres = "|".join(GENRES[genre] for genre in np.flatnonzero(flags))
        lines.writerow([film_id(number), _title(number), year, genres])
    return text.getvalue()


def _title(number: int) -> str:
    """A title of its own for each number: The Hidden Harbour, ..., The Hidden Harbour 2."""
    part, name = divmod(number, len(_FIRST) * len(_SECOND))
    first, second = _FIRST[name % len(_FIRST)], _SECOND[name // len(_FIRST)]
    return f"The {first} {second}" + (f" {part + 1}" if part else "")


def _pages(simulation: Simulation) -> list[dict[str, object]]:
    people, regions = simulation.truth.users, simulation.config.regions
    users = [
        {"user_id": user_id(number), "region": regions[region], "age": age}
        for number, (region, age) in enumerate(
            zip(people.regions.tolist(), people.ages.tolist(), strict=True)
        )
    ]
    cuts = range(0, len(users), PAGE)
    return [
        {"page": page, "pages": len(cuts), "users": users[cut : cut + PAGE]}
        for page, cut in enumerate(cuts, start=1)
    ]


def _events(simulation: Simulation) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    users, regions = simulation.users, simulation.truth.users.regions[simulation.users]
    names = {
        "user_id": (users, [user_id(n) for n in range(simulation.config.users)]),
        "film_id": (simulation.films, [film_id(n) for n in range(simulation.config.films)]),
        "region": (regions, list(simulation.config.regions)),
    }
    texts = {name: pa.array(words).take(pa.array(at)) for name, (at, words) in names.items()}
    times = pa.array(simulation.times * 1_000_000, pa.timestamp("us", "UTC"))
    table = pa.table(texts | {"rating": simulation.ratings, "time": times})
    sink = BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
