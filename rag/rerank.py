"""Rerankers: a model that reads question and passage together, over the first passages found.

Loading one reads its configuration alone: torch is imported and the model built at first use.
"""

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import ConfigError
from rag.config import RerankConfig
from rag.embedder import readable
from rag.fusion import Scores, spread, standardise
from rag.hub import check_device, from_hub, is_hub_id
from rag.types import Passage

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_KEY = "retrieval.rerank.model"
_WAY_OUT = "Name the folder or hub id of one, like 'cross-encoder/ms-marco-MiniLM-L6-v2'."
_LONGEST = 512  # tokens of question and passage together, where the model reads that many
_BATCH = 32


class Reranker(Protocol):
    """How well passages answer a question. Safe to use from several threads.

    Higher is better; scores compare within one question only. Equal texts get equal scores,
    whatever their order.
    """

    @property
    def name(self) -> str: ...

    def scores(self, question: str, texts: Sequence[str]) -> Scores:
        """Shape (n,), float32."""
        ...


class CrossEncoderReranker:
    """A sentence-transformers cross-encoder in ``folder``, from safetensors at first use.

    What is longer than ``max_tokens`` tokens, question and passage together, is cut.
    """

    def __init__(
        self, name: str, folder: Path, device: str = "cpu", max_tokens: int = _LONGEST
    ) -> None:
        self.name = name
        self.folder = folder
        self._device = device
        self._max_tokens = max_tokens
        self._lock = threading.Lock()
        self._loaded: CrossEncoder | None = None

    def scores(self, question: str, texts: Sequence[str]) -> Scores:
        """The model's logits. Raises ConfigError where it cannot be loaded."""
        if not texts:
            return np.zeros(0, dtype=np.float32)
        # Sorted, so that the batches, and with them the last bits, do not depend on the order.
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        logits = dict(zip(distinct, self._logits(question, distinct), strict=True))
        return np.array([logits[text] for text in texts], dtype=np.float32)

    def _logits(self, question: str, texts: Sequence[str]) -> "NDArray[Any]":
        import torch

        asked = readable(question, self._max_tokens)
        pairs = [(asked, readable(text, self._max_tokens)) for text in texts]
        # The tokenizer's settings are changed by every call: one at a time.
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self.folder, self._device, self._max_tokens)
            found = self._loaded.predict(
                pairs,
                batch_size=_BATCH,
                show_progress_bar=False,
                activation_fn=torch.nn.Identity(),
            )
        return np.asarray(found)


def load_reranker(model: str, device: str = "cpu") -> CrossEncoderReranker:
    """The reranker ``model``: the folder of a cross-encoder, or a hub id.

    Raises ConfigError where it is neither, or no model that gives a pair of texts one score; that
    its weights cannot be loaded shows at first use.
    """
    folder = _folder(model)
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        kinds, labels = config.get("architectures") or [], config.get("id2label") or {}
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{_KEY} {model!r} cannot be read: its config.json is missing or damaged.", _WAY_OUT
        ) from error
    # Of any other model transformers would make up a classifier at random.
    if not any(kind.endswith("ForSequenceClassification") for kind in kinds) or len(labels) != 1:
        raise ConfigError(
            f"{_KEY} {model!r} is no cross-encoder with one score: it is a "
            f"{', '.join(kinds) or 'model of no kind'} with {len(labels)} labels.",
            _WAY_OUT,
        )
    longest = min(_LONGEST, int(config.get("max_position_embeddings") or _LONGEST))
    return CrossEncoderReranker(model if is_hub_id(model) else folder.name, folder, device, longest)


def rerank(
    question: str, passages: Sequence[Passage], reranker: Reranker, config: RerankConfig
) -> list[Passage]:
    """``passages``, best first, with the first ``config.depth`` in the order that ``reranked``
    gives them; scores and ranks are those of the new order."""
    texts = [passage.chunk.embedded_text for passage in passages[: config.depth]]
    fused = np.array([passage.score for passage in passages], dtype=np.float32)
    order, scores = reranked(fused, reranker.scores(question, texts), config.weight)
    return [
        replace(passages[at], score=float(score), rank=rank)
        for rank, (at, score) in enumerate(zip(order, scores, strict=True), 1)
    ]


def reranked(
    fused: Scores, judged: Scores, weight: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The new order of n passages, as positions in ``fused``, and their scores, both shape (n,).

    ``fused`` is descending; ``judged`` are a reranker's scores of its first m. Those are ordered
    by ``weight · z(judged) + (1 − weight) · z(fused)``, mean and deviation over the m, equal ones
    as before. The others follow as they were, their scores moved down below them.
    """
    m = len(judged)
    first = fused[:m]
    head = weight * standardise(judged, spread(judged))
    head += (1 - weight) * standardise(first, spread(first))
    order = np.argsort(-head, kind="stable")
    tail = fused[m:].astype(np.float64)
    if m and tail.size:
        tail += head[order[-1]] - tail[0]
    return np.concatenate((order, np.arange(m, len(fused)))), np.concatenate((head[order], tail))


def _folder(model: str) -> Path:
    if is_hub_id(model):
        return from_hub(model, _KEY, "the folder of a cross-encoder")
    return Path(model).expanduser().resolve()


def _load(folder: Path, device: str, max_tokens: int) -> "CrossEncoder":
    from safetensors import SafetensorError
    from sentence_transformers import CrossEncoder
    from transformers.utils.logging import disable_progress_bar

    check_device(device)
    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model: CrossEncoder = CrossEncoder(
            str(folder),
            device=device,
            max_length=max_tokens,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"the reranker in {folder} cannot be loaded: {detail}") from error
    return model
