"""Models in files that run nothing when they are read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import BundleError

AGAIN = "Train the model again."


def write_sklearn(model: Any, path: Path) -> None:
    import skops.io

    skops.io.dump(model, path)


def read_sklearn(path: Path, types: Sequence[str], trusted: Sequence[str] = ()) -> Any:
    """An estimator of one of the ``types`` in skops's format; beside what skops trusts itself, only
    the types in ``trusted`` are made."""
    import zipfile

    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    broken = (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile)
    try:
        model = skops.io.load(path, trusted=list(trusted))
    except (*broken, UntrustedTypesFoundException) as error:
        raise broken_model(path, error) from error
    if type(model).__name__ not in types:
        raise broken_model(path, ValueError(f"it holds a {type(model).__name__}"))
    return model


def check_tree(inner: NDArray[Any], left: NDArray[Any], right: NDArray[Any], path: Path) -> None:
    """scikit-learn follows the numbers of a tree's nodes unchecked, out of its memory if they say
    so. Raises BundleError where a node that is ``inner`` does not lead to later nodes."""
    places = np.flatnonzero(inner)
    for side in (left[inner], right[inner]):
        if not len(inner) or (side <= places).any() or (side >= len(inner)).any():
            raise broken_model(path, ValueError("a node of a tree leads nowhere"))


def check_splits(features: NDArray[Any], count: int, path: Path) -> None:
    """Raises BundleError where a node asks for what is none of ``count`` features."""
    if (features < 0).any() or (features >= count).any():
        raise broken_model(path, ValueError("a tree asks for what is no feature"))


def read_booster(path: Path) -> Any:
    """A model in LightGBM's text."""
    import lightgbm

    try:
        text = path.read_text("utf-8")
        if not text.startswith("tree\n") or "\nend of trees" not in text:
            raise ValueError("it does not hold a whole model")
        return lightgbm.Booster(model_str=text)
    except (OSError, ValueError, lightgbm.basic.LightGBMError) as error:
        raise broken_model(path, error) from error


def broken_model(path: Path, error: Exception) -> BundleError:
    line = " ".join(str(error).split())[:200]
    return BundleError(f"{path} is no model of ours: {line}.", AGAIN)
