"""The configuration tree of the `rag` pipeline."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from lifecycle.config import Frozen
from lifecycle.gate import GateConfig
from lifecycle.resources import Resources


class SourceConfig(Frozen):
    """Where documents come from; relative paths count from the project's folder.

    ``packages``: names of installed distributions whose documentation is read.
    """

    paths: list[str] = []
    python_topics: bool = False
    packages: list[str] = []
    max_unreadable_share: float = Field(0.2, ge=0, le=1)
    max_file_mb: int = Field(200, ge=1)


class ChunkingConfig(Frozen):
    """Sizes count the embedder's own tokens; the packaged embedder reads 256."""

    max_tokens: int = Field(240, ge=32)
    overlap_sentences: int = Field(1, ge=0, le=5)
    heading_trail: bool = True


class EmbeddingConfig(Frozen):
    """``model``: ``packaged-minilm``, a sentence-transformers folder, a hub id, or the address of
    a registered model whose bundle holds an embedder (``models:/NAME@champion``).

    ``engine``: ``auto`` takes ONNX Runtime (int8) on a CPU and torch on a GPU.
    """

    model: str = "packaged-minilm"
    engine: Literal["auto", "onnx", "torch"] = "auto"
    batch_size: int = Field(32, ge=1)


class RerankConfig(Frozen):
    """``model``: the folder or hub id of a cross-encoder, empty for none; ``depth``: passages it
    reads; ``weight``: its share against the fused score among those."""

    model: str = ""
    depth: int = Field(50, ge=1, le=1000)
    weight: float = Field(1.0, ge=0, le=1)


class RetrievalConfig(Frozen):
    """``lexical_weight`` is BM25's share in the z-score sum, the dense score has the rest.

    ``whitening``: how far directions in which all chunks differ anyway count less in a question's
    vector, 0 not at all. ``lead_share``: the share of a document's first chunk in the dense score
    of its other chunks.
    """

    k: int = Field(8, ge=1, le=100)
    candidates: int = Field(100, ge=10)
    fusion: Literal["zscore", "rrf"] = "zscore"
    lexical_weight: float = Field(0.35, ge=0, le=1)
    whitening: float = Field(0.2, ge=0, le=0.5)
    lead_share: float = Field(0.3, ge=0, le=1)
    bm25_k1: float = Field(0.9, gt=0)
    bm25_b: float = Field(0.5, ge=0, le=1)
    lexical_engine: Literal["auto", "rank-bm25", "bm25s"] = "auto"
    dense_engine: Literal["auto", "flat", "codes"] = "auto"
    rerank: RerankConfig = RerankConfig()


MERGE_TOKENS = 480  # two chunks of the default size


class GenerationConfig(Frozen):
    """``openai``: any server with OpenAI's chat completions under ``base_url``; ``huggingface``:
    a model in this process, whose ``model`` is a folder or a hub id.

    ``merge_tokens``: the longest passage that neighbouring chunks may make; 0 leaves them apart,
    and unset (see ``merge_limit``) only language models get them together.

    ``stop``: texts that end the answer and are not shown. ``context_tokens``: the most that a local
    model may read and write, 0 for all that it can. ``dtype``: of a local model's weights; ``auto``
    is fp32 on a CPU, and on a GPU bf16 where it computes in that, else fp16.
    """

    provider: Literal["extractive", "openai", "huggingface"] = "extractive"
    max_sentences: int = Field(3, ge=1, le=20)
    min_confidence: float = Field(0.5, ge=0, le=1)
    base_url: str = ""
    model: str = ""
    api_key_env: str = "OPENAI_API_KEY"
    max_tokens: int = Field(400, ge=1)
    temperature: float = Field(0.0, ge=0)
    timeout_s: float = Field(60.0, gt=0)
    stop: list[Annotated[str, StringConstraints(min_length=1)]] = []
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    context_tokens: int = Field(0, ge=0)
    merge_tokens: int | None = Field(None, ge=0)

    @property
    def merge_limit(self) -> int:
        if self.merge_tokens is not None:
            return self.merge_tokens
        return 0 if self.provider == "extractive" else MERGE_TOKENS


class QuestionsConfig(Frozen):
    """``path``: golden questions, relative to the use case's folder; empty for synthetic ones."""

    path: str = ""
    split: Literal["dev", "test"] = "test"
    synthetic: int = Field(100, ge=1)
    seed: int = 0


class JudgeConfig(Frozen):
    """A language model that judges answers; none where ``model`` is empty.

    ``base_url`` as in GenerationConfig; ``sample``: how many answers it gets to see.
    """

    model: str = ""
    base_url: str = ""
    api_key_env: str = "OPENAI_API_KEY"
    sample: int = Field(50, ge=1)
    timeout_s: float = Field(60.0, gt=0)


class EvaluationConfig(Frozen):
    judge: JudgeConfig = JudgeConfig()


class RagConfig(Frozen):
    """``usecases/<name>/rag.yaml``."""

    title: str = ""
    source: SourceConfig = SourceConfig()
    chunking: ChunkingConfig = ChunkingConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    retrieval: RetrievalConfig = RetrievalConfig()
    generation: GenerationConfig = GenerationConfig()
    questions: QuestionsConfig = QuestionsConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    gate: GateConfig = GateConfig()
    resources: Resources = Resources()


def tree_of(raw: Mapping[str, Any], origin: str) -> type[RagConfig]:
    """The tree for the YAML ``raw``: there is only one."""
    return RagConfig
