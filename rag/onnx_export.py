"""A sentence-transformers model as an ONNX graph: made once, measured against torch, and kept.

The graph goes from the token ids of one text, shape (1, tokens), to its unit vector, shape (1, d):
transformer, pooling (mean or first token) and normalisation. In int8 the weights of the linear
layers are quantised by output channel and activations by the range of the text at hand, in its
matrix products alone; embeddings, attention and normalisation stay in fp32. On all-MiniLM-L6-v2
the cosine to torch is 0.994; quantised by ONNX Runtime's defaults it would be 0.951.
"""

import logging
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lifecycle.atomic import directory, lock, storage_errors
from lifecycle.errors import BundleError, ConfigError
from lifecycle.progress import working
from rag.onnx_embedder import MANIFEST, MODEL, TOKENIZER, Agreement, Export, OnnxEmbedder, Precision
from rag.onnx_support import unsupported

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch.nn import Module

VERSION = 1
"""Of this exporter; raise it when its vectors change."""
LEAST_AGREEMENT: dict[Precision, float] = {"fp32": 0.9999, "int8": 0.98}

_log = logging.getLogger(__name__)
_OPSET = 17
_LONGEST = 512  # tokens, where a model does not say
_WAY_OUT = "Use it with torch: --set embedding.engine=torch"

_SENTENCES = (
    "The cat sat on the mat.",
    "How do I roll a model back to the version before?",
    "A gate refuses a model that is worse than its baseline, and says by how much.",
    "class LogisticRegression(penalty='l2', *, dual=False, tol=1e-4, C=1.0)",
    "In vitro, the inhibitor reduced phosphorylation of the receptor by 43 % (p < 0.01).",
    "Der Vertrag endet mit Ablauf des dreißigsten Tages nach der Kündigung.",
    "機械学習のモデルを評価する方法",
    "OSError: [Errno 28] No space left on device: '/var/lib/data/part-0001.parquet'",
    "She said that nothing of the kind had ever happened in the town, not even in winter.",
    "SELECT city, avg(minutes) FROM deliveries WHERE day >= '2024-10-01' GROUP BY city",
    "Интернет-магазин доставляет заказы по всей стране.",
    "1. Stir the flour into the butter; 2. add the milk; 3. let it simmer for ten minutes.",
)


def load_onnx_embedder(
    model: Path,
    name: str,
    cache: Path,
    precision: Precision = "int8",
    threads: int | None = None,
) -> OnnxEmbedder:
    """The embedder of the sentence-transformers folder ``model``, exported at its first use.

    ``name`` says which weights these are; the embedder's own adds exporter and precision. The
    export is kept in ``cache``. Raises ConfigError where ``unsupported`` gives a reason.
    """
    if reason := unsupported(model):
        raise ConfigError(f"the embedder {name} cannot run in ONNX: {reason}.", _WAY_OUT)
    find = partial(exported, model, name, cache, precision)
    return OnnxEmbedder(embedder_name(name, precision), find, threads)


def embedder_name(name: str, precision: Precision) -> str:
    """Differs wherever vectors differ, so that no cache or index mixes them."""
    return f"{name}-onnx{VERSION}-{precision}"


def exported(model: Path, name: str, cache: Path, precision: Precision = "int8") -> Export:
    """The export of the folder ``model`` in ``cache``, made where there is none.

    One that was altered is refused with a warning that names the file, and made again. Raises
    ConfigError where the model cannot be exported or the export's vectors are not torch's.
    """
    whole = embedder_name(name, precision)
    dest = cache / re.sub(r"[^A-Za-z0-9@.-]+", "-", whole)
    with suppress(BundleError):
        return Export.open(dest)
    with lock(dest.with_name(f"{dest.name}.lock")):
        _drop_altered(dest)
        if not dest.is_dir():
            with working(f"exporting {name} to ONNX, once"), directory(dest) as folder:
                _write(model, folder, whole, precision)
    return Export.open(dest)


def _drop_altered(folder: Path) -> None:
    if not folder.is_dir():
        return
    try:
        Export.open(folder)
    except BundleError as error:
        _log.warning("%s The ONNX export is made again.", error.problem)
        with storage_errors(folder):
            shutil.rmtree(folder)


def _write(model: Path, folder: Path, name: str, precision: Precision) -> None:
    reference = _load(model)
    (folder / TOKENIZER).write_text(reference.tokenizer.backend_tokenizer.to_str(), "utf-8")
    with _quiet():
        _export(reference, folder / MODEL)
        if precision == "int8":
            _quantise(folder / MODEL)
    draft = _described(reference, folder, name, precision)
    agreement = _agreement(reference, draft)
    if not agreement.mean >= LEAST_AGREEMENT[precision]:
        raise ConfigError(
            f"{name} is not what torch computes: mean cosine {agreement.mean:.4f} over "
            f"{agreement.texts} texts, at least {LEAST_AGREEMENT[precision]} is wanted.",
            _WAY_OUT,
        )
    (folder / MANIFEST).write_text(replace(draft, agreement=agreement).manifest(), "utf-8")


def _described(
    reference: "SentenceTransformer", folder: Path, name: str, precision: Precision
) -> Export:
    return Export(
        folder=folder,
        name=name,
        precision=precision,
        dimension=reference.get_embedding_dimension() or 0,
        max_tokens=reference.max_seq_length or _LONGEST,
        prompts=_prompts(reference),
        agreement=None,
        made_with={lib: version(lib) for lib in ("torch", "transformers", "onnxruntime")},
    )


def _load(model: Path) -> "SentenceTransformer":
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return SentenceTransformer(
            str(model),
            device="cpu",
            local_files_only=True,
            model_kwargs={
                "use_safetensors": True,
                "attn_implementation": "eager",  # as plain operations, which can be exported
                "dtype": "float32",
            },
        ).eval()
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ConfigError(f"the embedder in {model} cannot be loaded: {error}", _WAY_OUT) from error


def _export(reference: "SentenceTransformer", path: Path) -> None:
    import torch

    ids = torch.tensor([reference.tokenizer("one text to trace")["input_ids"]])
    try:
        torch.onnx.export(
            _one_text(reference),
            (ids,),
            str(path),
            input_names=["input_ids"],
            output_names=["vector"],
            dynamic_axes={"input_ids": {1: "tokens"}},
            opset_version=_OPSET,
            dynamo=False,  # the other exporter wants one more package
        )
    except RuntimeError as error:
        raise ConfigError(f"the embedder cannot be exported to ONNX: {error}", _WAY_OUT) from error


def _one_text(reference: "SentenceTransformer") -> "Module":
    import torch

    class OneText(torch.nn.Module):
        """Of one text nothing is padding: there is no attention mask."""

        def __init__(self) -> None:
            super().__init__()
            self.transformer = reference[0].get_submodule("model")
            self.mean = reference[1].pooling_mode == "mean"

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            states = self.transformer(input_ids=ids).last_hidden_state
            pooled = states.mean(dim=1) if self.mean else states[:, 0]
            return torch.nn.functional.normalize(pooled, dim=1)

    return OneText().eval()


def _quantise(path: Path) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        onnx.load(path),
        path,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        weight_type=QuantType.QInt8,
    )


def _agreement(reference: "SentenceTransformer", draft: Export) -> Agreement:
    (draft.folder / MANIFEST).write_text(draft.manifest(), "utf-8")
    texts = _sample(draft.max_tokens)
    ours = OnnxEmbedder(draft.name, partial(Export.open, draft.folder)).encode(texts)
    theirs = reference.encode(
        [draft.prompts["document"] + text for text in texts],
        prompt="",
        normalize_embeddings=True,
        show_progress_bar=False,
    )
    cosines = np.einsum("ij,ij->i", ours, np.asarray(theirs))
    return Agreement(float(cosines.mean()), float(cosines.min()), len(texts))


def _sample(max_tokens: int) -> list[str]:
    """Fixed texts: each sentence alone, growing joins of them, and one beyond the limit."""
    joined = [" ".join(_SENTENCES[: n + 2]) for n in range(len(_SENTENCES) - 1)]
    return [*_SENTENCES, *joined, " ".join(_SENTENCES * (1 + max_tokens // 100))]


def _prompts(reference: "SentenceTransformer") -> dict[str, str]:
    prompts = reference.prompts
    default = prompts.get(reference.default_prompt_name or "")
    return {kind: prompts.get(kind, default) or "" for kind in ("document", "query")}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's deprecations, and the quantiser's lines through the root logger.

    Those would also install a handler there for good, which the null handler prevents.
    """
    handler, disabled = logging.NullHandler(), logging.root.manager.disable
    logging.root.addHandler(handler)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        logging.root.removeHandler(handler)
