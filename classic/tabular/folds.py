"""Folds: parts of the training rows that take turns at judging."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classic.tabular.settings import Problem
from lifecycle.errors import DataError

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    train: Rows
    valid: Rows


def make_folds(
    target: NDArray[Any], problem: Problem, count: int, seed: int, in_time: bool
) -> list[Fold]:
    """``count`` folds, drawn at random with each class's share kept, fewer where a class has fewer
    rows. ``in_time``: rows are in the order of time; then each fold is judged by what came next,
    and folds without one of the classes are left out.

    Raises DataError where the rows are too few.
    """
    if in_time:
        return _forward(target, problem, count)
    from sklearn.model_selection import KFold, StratifiedKFold

    splitter: Any = KFold
    if problem != "regression":
        splitter, count = StratifiedKFold, min(count, int(np.bincount(target).min()))
    if count < 2 or len(target) < 2 * count:
        raise _too_few(len(target))
    parts = splitter(count, shuffle=True, random_state=seed).split(target, target)
    return [Fold(train, valid) for train, valid in parts]


def _forward(target: NDArray[Any], problem: Problem, count: int) -> list[Fold]:
    from sklearn.model_selection import TimeSeriesSplit

    if len(target) < 2 * (count + 1):
        raise _too_few(len(target))
    splits: Iterator[tuple[Rows, Rows]] = TimeSeriesSplit(count).split(target)
    folds = [Fold(train, valid) for train, valid in splits]
    if problem != "regression":
        classes = len(np.unique(target))
        folds = [one for one in folds if len(np.unique(target[one.train])) == classes]
        folds = [one for one in folds if len(np.unique(target[one.valid])) > 1]
    if not folds:
        raise _too_few(len(target))
    return folds


def _too_few(rows: int) -> DataError:
    return DataError(
        f"{rows} training rows are too few, or hold too few of a class, to learn and to judge by.",
        "Widen the window of data, or join rare classes.",
    )
