"""BM25 behind one small interface, with two engines that give the same scores.

``rank-bm25`` scores in Python and loads nothing heavy; ``bm25s`` keeps precomputed scores in sparse
matrices, memory-mapped, and is the engine from 2,000 texts up. Both compute Lucene's
variant: ``idf(t) · tf / (tf + k1 · (1 − b + b · length / mean length))`` with
``idf(t) = ln(1 + (N − df + 0.5) / (df + 0.5))`` (Kamphuis et al., ECIR 2020).
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import BundleError
from rag.kernels import Summary
from rag.lexical import tokenize
from rag.lexical.counts import TermCounts

EngineName = Literal["auto", "rank-bm25", "bm25s"]
Scores = NDArray[np.float32]

LARGEST_FOR_RANK_BM25 = 2_000
MAX_QUERY_TERMS = 256
_SETTINGS = "lexical.json"


class Lexical(Protocol):
    """An index of texts by their words; safe to query from several threads."""

    engine: str

    def __len__(self) -> int: ...

    def scores(self, question: str) -> Scores:
        """BM25 of every text, shape (n,), at least 0, and 0 exactly where no term is shared.

        Of a question with more than 256 different known terms the 256 rarest count.
        """
        ...

    def summary(self, question: str) -> Summary:
        """The same scores, and what is known of them all."""
        ...

    def warm_up(self) -> None:
        """Do now what would make the first questions slow."""
        ...

    def save(self, folder: Path) -> None: ...


def build_lexical(
    texts: Sequence[str], *, k1: float = 0.9, b: float = 0.5, engine: EngineName = "auto"
) -> Lexical:
    """Index ``texts``; see `lexical_of`."""
    return lexical_of(TermCounts.of(texts), k1=k1, b=b, engine=engine)


def lexical_of(
    counts: TermCounts, *, k1: float = 0.9, b: float = 0.5, engine: EngineName = "auto"
) -> Lexical:
    """Index texts by their counts; ``auto`` takes rank-bm25 up to 2,000 texts, bm25s beyond."""
    if engine == "rank-bm25" or (engine == "auto" and len(counts) <= LARGEST_FOR_RANK_BM25):
        from rag.lexical.rank_bm25 import RankBM25

        return RankBM25.build(counts, k1, b)
    from rag.lexical.bm25s import BM25S

    return BM25S.build(counts, k1, b)


def save_lexical(lexical: Lexical, folder: Path) -> None:
    """Write ``lexical`` into ``folder``; the same texts give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"engine": lexical.engine, "tokenizer": tokenize.TOKENIZER, "texts": len(lexical)}
    (folder / _SETTINGS).write_text(json.dumps(settings, indent=1), encoding="utf-8")
    lexical.save(folder)


def load_lexical(folder: Path) -> Lexical:
    """The index in ``folder``. Raises BundleError where it is damaged or of other code."""
    try:
        settings = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
        if settings["tokenizer"] != tokenize.TOKENIZER:
            raise BundleError(
                f"the BM25 index was made by tokenizer {settings['tokenizer']!r}, "
                f"this version has {tokenize.TOKENIZER!r}.",
                "Run the pipeline again to rebuild the index.",
            )
        lexical = _load_engine(settings["engine"], folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"the BM25 index in {folder} cannot be read: {error}.") from error
    if len(lexical) != settings["texts"]:
        raise BundleError(f"the BM25 index in {folder} does not hold what its settings say.")
    return lexical


def known_terms(
    question: str, vocabulary: Mapping[str, object], frequency: Callable[[str], int]
) -> list[str]:
    """The question's terms in ``vocabulary``, repeats included, at most the rarest 256 distinct.

    ``frequency``: in how many texts a term stands.
    """
    terms = [term for term in tokenize.query_terms(question) if term in vocabulary]
    distinct = Counter(terms)
    if len(distinct) <= MAX_QUERY_TERMS:
        return terms
    rarest = set(sorted(distinct, key=frequency)[:MAX_QUERY_TERMS])
    return [term for term in terms if term in rarest]


def _load_engine(name: str, folder: Path) -> Lexical:
    if name == "rank-bm25":
        from rag.lexical.rank_bm25 import RankBM25

        return RankBM25.load(folder)
    from rag.lexical.bm25s import BM25S

    return BM25S.load(folder)
