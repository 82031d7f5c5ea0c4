"""Interactions from the folders that recommenders are usually compared on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classic.recommend.interactions import Interactions
from classic.recommend.splits import leave_last_out
from lifecycle.errors import SourceError

# File, what stands between its columns, and whether the first line names them.
_LAYOUTS = (("u.data", "\t", 0), ("ratings.dat", "::", 0), ("ratings.csv", ",", 1))
Event = tuple[str, str, float, int]


@dataclass(frozen=True)
class Collection:
    """``timed``: whether the order of a history means anything."""

    name: str
    train: Interactions
    test: Interactions
    timed: bool

    @classmethod
    def read(cls, folder: Path) -> "Collection":
        if (folder / "train.txt").exists():
            return cls(folder.name, *_given(folder), timed=False)
        return cls(folder.name, *leave_last_out(_made(_movielens(folder))), timed=True)


def _movielens(folder: Path) -> list[Event]:
    layouts = [(path.name, "\t", 1) for path in sorted(folder.glob("*.inter"))]
    for name, separator, heads in [*_LAYOUTS, *layouts]:
        if (folder / name).exists():
            lines = (folder / name).read_text("utf-8").splitlines()[heads:]
            rows = (line.split(separator) for line in lines if line)
            return [(row[0], row[1], float(row[2]), int(float(row[3]))) for row in rows]
    raise SourceError(
        f"{folder} holds no train.txt and no MovieLens ratings.",
        "Known: u.data, ratings.dat, ratings.csv, *.inter, or train.txt and test.txt.",
    )


def _given(folder: Path) -> tuple[Interactions, Interactions]:
    parts = [_lines(folder / name) for name in ("train.txt", "test.txt")]
    both = _made([*parts[0], *parts[1]], ordered=True)
    early = np.arange(len(both)) < len(parts[0])
    return both.where(early), both.where(~early)


def _lines(path: Path) -> list[Event]:
    rows = (line.split() for line in path.read_text("utf-8").splitlines())
    return [(row[0], item, 1.0, 0) for row in rows if row for item in row[1:]]


def _made(events: list[Event], ordered: bool = False) -> Interactions:
    if not ordered:
        events.sort(key=lambda event: event[3])
    user_ids, users = np.unique([event[0] for event in events], return_inverse=True)
    item_ids, items = np.unique([event[1] for event in events], return_inverse=True)
    return Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        np.array([event[3] for event in events], dtype=np.int64),
        np.array([event[2] for event in events], dtype=np.float32),
        user_ids.tolist(),
        item_ids.tolist(),
    )
