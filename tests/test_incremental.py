"""Documents that are added, changed and removed: only they are read, cut and embedded again, and
what comes out is what a first run would have made."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from lifecycle.fingerprint import ROOT
from rag import kept
from rag.config import ChunkingConfig, EmbeddingConfig, SourceConfig
from rag.engines import open_embedder
from rag.parsers import parse as real_parse
from rag.stages.files import ORIGINS
from rag.stages.load import load
from rag.stages.prepare import prepare
from rag.types import Document
from tests.contracts import bytes_of
from tests.toys import write_notes


class Corpus:
    """Notes in a folder, ingested as the pipeline does it, with a cache of their own."""

    def __init__(self, folder: Path, notes: Path, cache: Path) -> None:
        self.folder, self.notes, self.cache = folder, notes, cache
        self.runs = 0

    def ingest(self) -> tuple[Path, str]:
        """The prepared chunks, and what was said of them."""
        self.runs += 1
        data, chunks = self.folder / f"data{self.runs}", self.folder / f"chunks{self.runs}"
        data.mkdir(parents=True)
        load(SourceConfig(paths=[str(self.notes)]), ROOT, self.cache, data)
        said = prepare(data, ChunkingConfig(), EmbeddingConfig(), self.cache, "cpu", chunks)
        return chunks, said


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedder's export, made once."""
    cache = tmp_path_factory.mktemp("exported")
    open_embedder(EmbeddingConfig(), "cpu", cache).encode(["made"])
    return cache / "onnx"


@pytest.fixture
def corpus(tmp_path: Path, exported: Path) -> Corpus:
    write_notes(tmp_path / "notes")
    for cache in ("cache", "anew-cache"):
        shutil.copytree(exported, tmp_path / cache / "onnx")
    return Corpus(tmp_path / "runs", tmp_path / "notes", tmp_path / "cache")


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were parsed, in order."""
    names: list[str] = []

    def watched(raw: object) -> Document:
        names.append(Path(raw.uri).name)  # type: ignore[attr-defined]
        return real_parse(raw)  # type: ignore[arg-type]

    monkeypatch.setattr("rag.parsers.parse", watched)
    return names


def anew(corpus: Corpus, tmp_path: Path) -> dict[str, bytes]:
    """What a first run would make of the notes as they are now."""
    chunks, _ = Corpus(tmp_path / "anew", corpus.notes, tmp_path / "anew-cache").ingest()
    return bytes_of(chunks)


def test_added_changed_and_removed_documents(
    corpus: Corpus, parsed: list[str], tmp_path: Path
) -> None:
    corpus.ingest()
    parsed.clear()
    (corpus.notes / "bike.txt").unlink()
    (corpus.notes / "new.md").write_text("# New\n\nA wholly new note about beekeeping.\n")
    house = corpus.notes / "house.rst"
    house.write_text(house.read_text() + "\nThe attic is swept in spring.\n")
    chunks, said = corpus.ingest()
    assert sorted(parsed) == ["house.rst", "new.md"]
    assert ", 2 embedded, " in said
    assert bytes_of(chunks) == anew(corpus, tmp_path)


def test_an_unchanged_corpus_is_taken_over_whole(
    corpus: Corpus, parsed: list[str], tmp_path: Path
) -> None:
    first, _ = corpus.ingest()
    parsed.clear()
    again, said = corpus.ingest()
    assert parsed == []
    assert " 0 embedded, " in said
    assert bytes_of(again) == bytes_of(first) == anew(corpus, tmp_path)


def test_a_moved_document_is_another_one(corpus: Corpus, tmp_path: Path) -> None:
    corpus.ingest()
    (corpus.notes / "bike.txt").rename(corpus.notes / "zweirad.txt")
    chunks, said = corpus.ingest()
    assert " 0 embedded, " in said  # the text is known, its place is new
    assert bytes_of(chunks) == anew(corpus, tmp_path)


@pytest.mark.parametrize(
    "name", ["places.json", "chunks.arrow", "terms/offsets.npy", "vectors.npy"]
)
def test_a_damaged_keepsake_is_made_anew(corpus: Corpus, name: str, tmp_path: Path) -> None:
    corpus.ingest()
    for path in (corpus.cache / "kept").rglob(name):
        path.unlink()
        path.write_bytes(b"junk")
    chunks, _ = corpus.ingest()
    assert bytes_of(chunks) == anew(corpus, tmp_path)


def test_a_document_of_another_source_is_not_taken(corpus: Corpus, tmp_path: Path) -> None:
    corpus.ingest()
    other = tmp_path / "other"
    write_notes(other)
    (other / "bike.txt").write_text("Another bicycle.")
    corpus.notes = other
    chunks, _ = corpus.ingest()
    assert bytes_of(chunks) == anew(corpus, tmp_path)


class TestKept:
    def test_the_latest_is_found_and_the_one_before_goes(self, tmp_path: Path) -> None:
        for text in ("one", "two"):
            (tmp_path / "file").unlink(missing_ok=True)
            (tmp_path / "file").write_text(text)
            kept.keep(tmp_path / "cache", "key", tmp_path, ["file"])
        found = kept.find(tmp_path / "cache", "key")
        assert found is not None
        assert (found / "file").read_text() == "two"
        assert len([path for path in found.parent.iterdir() if path.is_dir()]) == 1

    def test_nothing_is_found_where_nothing_was_kept(self, tmp_path: Path) -> None:
        assert kept.find(tmp_path, "key") is None

    def test_only_so_many_keys_are_kept(self, tmp_path: Path) -> None:
        (tmp_path / ORIGINS).write_text("x")
        for number in range(kept.MOST + 3):
            kept.keep(tmp_path / "cache", str(number), tmp_path, [ORIGINS])
        assert len(list((tmp_path / "cache" / "kept").iterdir())) == kept.MOST
        assert kept.find(tmp_path / "cache", str(kept.MOST + 2)) is not None

    def test_a_key_depends_on_every_part(self) -> None:
        assert kept.key("a", {"b": 1}) != kept.key("a", {"b": 2})
        assert kept.key("a", "b") == kept.key("a", "b")


def test_prepared_rows_can_be_put_in_any_order(corpus: Corpus) -> None:
    from rag.prepared import Prepared

    prepared = Prepared.load(corpus.ingest()[0])
    nothing = Prepared.of([], np.zeros((0, prepared.vectors.shape[1]), np.float32))
    order = np.arange(len(prepared))[::-1]
    turned = prepared.followed_by(nothing, order).followed_by(nothing, order)
    assert turned.table.equals(prepared.table)
    np.testing.assert_array_equal(turned.vectors, prepared.vectors)
    assert turned.counts.vocabulary == prepared.counts.vocabulary
    np.testing.assert_array_equal(turned.counts.terms, prepared.counts.terms)
