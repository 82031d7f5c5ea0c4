"""Scores rows with an exported model: needs ONNX Runtime, NumPy and the one file, nothing else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import BundleError, InputError

FACTS, SCORES, FORMAT = "tabular", "scores", 1
_AGAIN = "Export the model again."
_NOTHING: NDArray[np.float64] = np.zeros((0, 0))


class OnnxScorer:
    """``outputs`` names what ``score`` gives: score (of two classes the second one's probability),
    ``prob.<class>`` for each class, or prediction, low and high. ``classes`` and ``threshold`` are
    the model's; ``numbers`` and ``texts`` are the columns that it reads.

    Raises BundleError where ``path`` is no such file.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._session = _session(path, threads)
        facts = _facts(path, self._session.get_modelmeta().custom_metadata_map)
        self.problem: str = facts["problem"]
        self.numbers: list[str] = facts["numbers"]
        self.texts: list[str] = facts["texts"]
        self.types: dict[str, str] = facts["types"]
        self.outputs: list[str] = facts["outputs"]
        self.classes: list[str] = facts["classes"]
        self.threshold: float = facts["threshold"]

    def score(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """(n,) where there is one output, else (n, outputs).

        Every column is (n,): numbers, booleans as 0 and 1, times as seconds since 1970 in UTC,
        missing NaN; categories as ``str`` objects, missing "". Raises InputError for a column that
        is not there, of another length, or of another type.
        """
        numbers = _packed(columns, self.numbers, np.float64) if self.numbers else _NOTHING
        texts = _packed(columns, self.texts, object) if self.texts else _NOTHING
        return self.score_packed(numbers, texts)

    def score_packed(
        self, numbers: NDArray[np.float64], texts: NDArray[Any]
    ) -> NDArray[np.float64]:
        """As ``score``, of the columns side by side: (n, numbers) and (n, texts)."""
        given = {"numbers": numbers} if self.numbers else {}
        if self.texts:
            given["texts"] = texts
        found: NDArray[np.float64] = self._session.run([SCORES], given)[0]
        return found[:, 0] if len(self.outputs) == 1 else found


def _packed(columns: Mapping[str, NDArray[Any]], names: list[str], dtype: Any) -> NDArray[Any]:
    """(n, names)."""
    absent = next((name for name in names if name not in columns), None)
    if absent is not None:
        raise InputError(f"column {absent!r} is not there.", "Every column is needed.")
    packed = np.empty((len(columns[names[0]]), len(names)), dtype=dtype)
    for place, name in enumerate(names):
        try:
            packed[:, place] = columns[name]
        except (ValueError, TypeError) as error:
            raise InputError(f"column {name!r} does not fit: {error}.") from error
        # ONNX Runtime would read None as the text "None".
        if dtype is object and set(map(type, packed[:, place].tolist())) - {str}:
            raise InputError(
                f"column {name!r} holds something that is no text.", 'Write missing ones as "".'
            )
    return packed


def _session(path: Path, threads: int) -> Any:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    broken = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf)
    more = (state.NoSuchFile, state.NotImplemented, state.RuntimeException)
    try:
        return onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except (OSError, *broken, *more) as error:
        line = " ".join(str(error).split())[:200]
        raise BundleError(f"{path} is no ONNX model that can be read: {line}.", _AGAIN) from error


def _facts(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(metadata[FACTS])
        if facts["format"] != FORMAT:
            raise ValueError(f"its format is {facts['format']}, this version reads {FORMAT}")
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{path} is no exported tabular model: {error}.", _AGAIN) from error
    return facts
