"""Targets as numbers: of classes, in the order of ``classes``, or as they are."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classic.tabular.settings import Problem
from lifecycle.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

_POSITIVE = ("1", "true", "yes")


def as_text(values: "pd.Series[Any]") -> NDArray[Any]:
    """Classes as text: 1, not 1.0; true, not True."""
    if str(values.dtype) in ("bool", "boolean"):
        return np.where(values.to_numpy(dtype=bool), "true", "false").astype(object)
    if str(values.dtype).startswith("float") and bool((values % 1 == 0).all()):
        values = values.astype("int64")
    found: NDArray[Any] = values.astype("str").to_numpy(dtype=object)
    return found


def class_names(labels: NDArray[Any], problem: Problem, positive: str) -> list[str]:
    """The classes in order; of two, the positive one is last.

    Raises DataError for one class only, ConfigError for another number than the problem has, or
    where nothing says which is the positive one.
    """
    found = sorted(set(labels.tolist()))
    shown = ", ".join(found[:8])
    if len(found) < 2:
        raise DataError(
            f"the target is {shown or 'never there'} in every training row: there is nothing to "
            "tell apart.",
            "Widen the window of data.",
        )
    if problem == "multiclass":
        return found
    if len(found) > 2:
        raise ConfigError(
            f"the target has {len(found)} classes ({shown}), a binary problem has two.",
            "Set problem: multiclass.",
        )
    last = _positive(found, positive)
    return [next(one for one in found if one != last), last]


def encode(labels: NDArray[Any], classes: list[str]) -> NDArray[np.int64]:
    """The number of each label's class. Raises DataError for a class that is none of them."""
    number = {one: place for place, one in enumerate(classes)}
    unknown = next((one for one in labels if one not in number), None)
    if unknown is not None:
        raise DataError(
            f"the target is {unknown!r}, which training did not have ({', '.join(classes[:8])}).",
            "Train on rows that have every class.",
        )
    return np.array([number[one] for one in labels], dtype=np.int64)


def _positive(found: list[str], positive: str) -> str:
    for one in found:
        if one == positive or (not positive and one.lower() in _POSITIVE):
            return one
    said = f"learning.positive={positive!r} is neither" if positive else "nothing says which"
    raise ConfigError(
        f"the target's classes are {', '.join(found)}, and {said} is the one looked for.",
        "Set learning.positive to one of them.",
    )
