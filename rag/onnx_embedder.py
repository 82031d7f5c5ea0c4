"""Embeds with ONNX Runtime from a folder that `rag.onnx_export` made: no torch, no transformers.

A text is one run of the graph on one core; several texts go to as many cores as there are, the
longest first. Against padded batches on all cores together this is as fast for questions and
faster for passages, because nothing is computed for padding and no core waits for another. And
the vector of a text depends on that text alone, bit for bit: int8 activations are scaled by the
range of all that is computed together, which in a batch would be the neighbours' range too.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import BundleError
from lifecycle.hashing import sha256
from rag.tokens import TokenCounter
from rag.types import Vectors

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

Precision = Literal["fp32", "int8"]
Kind = Literal["document", "query"]
Ids = NDArray[np.int64]

MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
MANIFEST = "manifest.json"
FORMAT = 1

_TEXTS_AT_ONCE = 8192  # tokenised together
_TOKENS_A_TASK = 256  # run by one thread in one go; some 10 ms
# Beyond this a text has no token within the limit, or is no text.
_CHARACTERS_A_TOKEN = 100
# Its kernel takes 10 % of the whole time; the additions and normalisations that it joins, 2 %.
_SLOWER_FUSED = ["SkipLayerNormFusion"]


@dataclass(frozen=True)
class Agreement:
    """Cosine between the vectors of torch in fp32 and those of the export, over fixed texts."""

    mean: float
    least: float
    texts: int


@dataclass(frozen=True)
class Export:
    """A folder with a model's graph, its tokenizer and a manifest that holds their SHA-256.

    ``name``: the embedder's, precision included; ``prompts``: what goes before a text, by kind;
    ``made_with``: versions of the libraries that made it.
    """

    folder: Path
    name: str
    precision: Precision
    dimension: int
    max_tokens: int
    prompts: Mapping[str, str]
    agreement: Agreement | None
    made_with: Mapping[str, str]

    @classmethod
    def open(cls, folder: Path) -> "Export":
        """The export in ``folder``. Raises BundleError, naming the file that was altered."""
        export, files = cls._read(folder / MANIFEST)
        for name in (MODEL, TOKENIZER):
            if sha256(folder / name) != files.get(name):
                raise BundleError(
                    f"{folder / name} was altered: its SHA-256 is not the manifest's."
                )
        return export

    @classmethod
    def of_checked(cls, folder: Path) -> "Export":
        """The export in a part of a bundle, which was checked as the bundle was opened."""
        return cls._read(folder / MANIFEST)[0]

    @classmethod
    def _read(cls, path: Path) -> tuple["Export", dict[str, str]]:
        try:
            stored = json.loads(path.read_text("utf-8"))
            if stored.pop("format") != FORMAT:
                raise BundleError(f"{path} has another format than {FORMAT}.")
            files: dict[str, str] = stored.pop("files")
            agreement = stored.pop("agreement")
            agreed = agreement and Agreement(**agreement)
            return cls(path.parent, agreement=agreed, **stored), files
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}.") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BundleError(f"{path} was altered: {error!r}.") from error

    def manifest(self) -> str:
        """The manifest's text, with the files as they are now. Raises BundleError."""
        files = {name: sha256(self.folder / name) for name in (MODEL, TOKENIZER)}
        stored = asdict(self) | {"format": FORMAT, "files": files}
        del stored["folder"]
        return json.dumps(stored, indent=1, sort_keys=True) + "\n"


class OnnxEmbedder:
    """An `Embedder` over an `Export`, opened by ``find`` at first use.

    ``threads``: how many texts are embedded at once; the machine's cores by default. One
    question takes one thread.
    """

    def __init__(self, name: str, find: Callable[[], Export], threads: int | None = None) -> None:
        self.name = name
        self._find = find
        self._threads = threads or cores()
        self._opening = threading.Lock()
        self._opened: Export | None = None
        self._started: InferenceSession | None = None

    @property
    def dimension(self) -> int:
        return self.export.dimension

    @property
    def max_tokens(self) -> int:
        return self.export.max_tokens

    @property
    def export(self) -> Export:
        with self._opening:
            if self._opened is None:
                self._opened = self._find()
            return self._opened

    def encode(self, texts: Sequence[str]) -> Vectors:
        return self._encode(texts, "document")

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self._encode(texts, "query")

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [count + self._counter.special for count in self._counter.count(texts)]

    def _encode(self, texts: Sequence[str], kind: Kind) -> Vectors:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            block = texts[start : start + _TEXTS_AT_ONCE]
            self._fill(vectors[start : start + len(block)], self._ids(block, kind))
        return vectors

    def _fill(self, vectors: Vectors, ids: Sequence[Ids]) -> None:
        session = self._session

        def embed(rows: Sequence[int]) -> None:
            for row in rows:
                vectors[row] = session.run(None, {"input_ids": ids[row][None]})[0][0]

        tasks = list(_tasks([len(one) for one in ids]))
        if len(tasks) < 2:
            embed(range(len(ids)))
            return
        with ThreadPoolExecutor(min(self._threads, len(tasks))) as pool:
            list(pool.map(embed, tasks))

    def _ids(self, texts: Sequence[str], kind: Kind) -> list[Ids]:
        prompt = self.export.prompts.get(kind, "")
        limit = self.max_tokens * _CHARACTERS_A_TOKEN
        read = [_readable(prompt + text[:limit]) for text in texts]
        encodings: list[Encoding] = self._tokenizer.encode_batch_fast(read)
        return [np.array(encoding.ids or [0], dtype=np.int64) for encoding in encodings]

    @property
    def _session(self) -> "InferenceSession":
        export = self.export
        with self._opening:
            if self._started is None:
                self._started = _start(export.folder / MODEL)
            return self._started

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.export.folder / TOKENIZER))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_tokens)
        return tokenizer

    @cached_property
    def _counter(self) -> TokenCounter:
        return TokenCounter.load(str(self.export.folder))


def cores() -> int:
    """The machine's physical cores, or fewer where this process may use fewer."""
    import psutil

    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    allowed = getattr(os, "sched_getaffinity", None)
    return min(physical, len(allowed(0))) if allowed else physical


def _start(path: Path) -> "InferenceSession":
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # no threads of its own, so none that spin
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    arguments: dict[str, Any] = {"disabled_optimizers": _SLOWER_FUSED}
    try:
        return onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"], **arguments
        )
    except (Fail, InvalidGraph, InvalidProtobuf) as error:
        raise BundleError(f"{path} cannot be loaded: {error}") from error


def _tasks(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows, the longest first, in groups of at least `_TOKENS_A_TASK` tokens."""
    rows: list[int] = []
    tokens = 0
    for row in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        rows.append(row)
        tokens += lengths[row]
        if tokens >= _TOKENS_A_TASK:
            yield rows
            rows, tokens = [], 0
    if rows:
        yield rows


def _readable(text: str) -> str:
    """``text`` with lone surrogates, which no tokenizer reads, replaced."""
    return text.encode("utf-8", errors="replace").decode()
