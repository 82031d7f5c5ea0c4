"""Arrays by name in a folder, one .npy file each, and facts as JSON; nothing is pickled."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import BundleError

AGAIN = "Train the model again."


def write_arrays(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def read_array(folder: Path, name: str) -> NDArray[Any]:
    """Raises BundleError where the file is missing or no array."""
    path = folder / f"{name}.npy"
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BundleError(f"{path} is no readable array: {error}.", AGAIN) from error
    return array


def read_facts(path: Path) -> dict[str, Any]:
    """Raises BundleError where the file is missing or holds no mapping."""
    try:
        facts = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read: {error}.", AGAIN) from error
    if not isinstance(facts, dict):
        raise BundleError(f"{path} holds no mapping.", AGAIN)
    return facts
