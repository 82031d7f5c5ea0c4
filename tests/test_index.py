"""The index: what it refuses, that it comes back as it was, and that its health names a cause."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import BundleError, InvalidDataError, StorageError
from rag.config import RetrievalConfig
from rag.embedder import Embedder
from rag.health import IndexHealth, health
from rag.index import RagIndex
from rag.retriever import Retriever
from rag.types import Vectors
from tests.contracts import TEXTS, WordEmbedder, bytes_of, corpus, ids, index_of, unit_vectors

MANY = [f"passage {number} about thing{number} and matter{number % 7}" for number in range(300)]
FILES = ["chunks.arrow", "documents.arrow", "settings.json", "dense/vectors.faiss"]


def built(vectors: Vectors, embedder: Embedder) -> RagIndex:
    chunks, documents = corpus(MANY)
    return RagIndex.build(chunks, vectors, documents, RetrievalConfig(), embedder.name)


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def index(embedder: WordEmbedder) -> RagIndex:
    return index_of(TEXTS, embedder)


class TestBuild:
    def test_counts_that_differ_are_refused(self, embedder: WordEmbedder) -> None:
        chunks, documents = corpus()
        vectors = embedder.encode(TEXTS)[:-1]
        with pytest.raises(InvalidDataError, match="6 chunks do not match 5 vectors"):
            RagIndex.build(chunks, vectors, documents, RetrievalConfig(), "e")

    def test_two_chunks_with_one_id_are_refused(self, embedder: WordEmbedder) -> None:
        chunks, documents = corpus()
        twice = [*chunks[:-1], replace(chunks[-1], chunk_id=chunks[0].chunk_id)]
        with pytest.raises(InvalidDataError, match="same id"):
            RagIndex.build(twice, embedder.encode(TEXTS), documents, RetrievalConfig(), "e")

    def test_settings_of_the_configuration_reach_bm25(self, embedder: WordEmbedder) -> None:
        config = RetrievalConfig(bm25_b=0.0, lexical_engine="bm25s")
        index = index_of(["word", "word and many others beside it"], embedder, config)
        assert index.lexical.engine == "bm25s"
        short, long = index.lexical.scores("word")
        assert short == long > 0


class TestSaved:
    def test_comes_back_as_it_was(self, index: RagIndex, tmp_path: Path) -> None:
        index.save(tmp_path)
        loaded = RagIndex.load(tmp_path)
        assert loaded.chunks() == index.chunks() == corpus()[0]
        assert loaded.settings == index.settings
        np.testing.assert_array_equal(
            loaded.dense.vectors(np.arange(6)), index.dense.vectors(np.arange(6))
        )
        np.testing.assert_array_equal(loaded.lexical.scores("model"), index.lexical.scores("model"))

    @settings(max_examples=20, deadline=None)
    @given(texts=st.lists(st.text(min_size=1, max_size=40), unique=True, max_size=8))
    def test_any_text_comes_back(
        self, tmp_path_factory: pytest.TempPathFactory, texts: list[str]
    ) -> None:
        folder = tmp_path_factory.mktemp("index")
        texts = [text.encode("utf-8", "replace").decode() for text in texts]
        index_of(texts, WordEmbedder()).save(folder)
        assert [chunk.text for chunk in RagIndex.load(folder).chunks()] == texts

    def test_has_the_same_bytes_from_every_process(self, index: RagIndex, tmp_path: Path) -> None:
        index.save(tmp_path / "here")
        code = (
            "import sys; from pathlib import Path\n"
            "from tests.contracts import TEXTS, WordEmbedder, index_of\n"
            "index_of(TEXTS, WordEmbedder()).save(Path(sys.argv[1]))"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "there")]
        subprocess.run(command, check=True, env={"PYTHONHASHSEED": "7", "PATH": ""})
        assert bytes_of(tmp_path / "here") == bytes_of(tmp_path / "there")
        assert set(FILES) < set(bytes_of(tmp_path / "here"))

    def test_makes_only_the_chunks_asked_for(self, index: RagIndex) -> None:
        assert [chunk.text for chunk in index.take(np.array([4, 0]))] == [TEXTS[4], TEXTS[0]]

    def test_opens_the_document_of_a_citation(self, index: RagIndex, tmp_path: Path) -> None:
        index.save(tmp_path)
        loaded = RagIndex.load(tmp_path)
        chunk = loaded.chunks()[2]
        document = loaded.document(chunk.doc_id)
        assert document.uri == chunk.uri
        assert document.text[chunk.start : chunk.end] == chunk.text
        with pytest.raises(BundleError, match="'none'"):
            loaded.document("none")

    @pytest.mark.parametrize("name", FILES)
    def test_is_refused_where_a_file_is_missing_or_cut_short(
        self, index: RagIndex, tmp_path: Path, name: str
    ) -> None:
        index.save(tmp_path)
        path = tmp_path / name
        content = path.read_bytes()
        for damage in (path.unlink, lambda: path.write_bytes(content[: len(content) // 2])):
            damage()
            with pytest.raises(BundleError, match=name.partition("/")[0]):
                RagIndex.load(tmp_path).document("any")

    @pytest.mark.parametrize("part", ["chunks.arrow", "dense", "lexical"])
    def test_is_refused_where_a_part_is_of_another_index(
        self, index: RagIndex, embedder: WordEmbedder, tmp_path: Path, part: str
    ) -> None:
        index.save(tmp_path / "a")
        index_of(TEXTS[:-1], embedder).save(tmp_path / "b")
        if (tmp_path / "a" / part).is_dir():
            for path in (tmp_path / "a" / part).iterdir():
                path.write_bytes((tmp_path / "b" / part / path.name).read_bytes())
        else:
            (tmp_path / "a" / part).write_bytes((tmp_path / "b" / part).read_bytes())
        with pytest.raises(BundleError, match="should hold 6 chunks"):
            RagIndex.load(tmp_path / "a")

    def test_is_refused_where_a_later_version_wrote_it(
        self, index: RagIndex, tmp_path: Path
    ) -> None:
        index.save(tmp_path)
        path = tmp_path / "settings.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
        with pytest.raises(BundleError, match="format 99"):
            RagIndex.load(tmp_path)

    def test_a_write_that_fails_says_where(self, index: RagIndex, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(StorageError, match="file"):
            index.save(tmp_path / "file" / "index")


class TestEmptyCorpus:
    def test_is_built_saved_and_finds_nothing(self, embedder: WordEmbedder, tmp_path: Path) -> None:
        index_of([], embedder).save(tmp_path)
        index = RagIndex.load(tmp_path)
        assert len(index) == 0
        assert Retriever(index, embedder, RetrievalConfig()).search("anything") == []
        assert health(index, embedder) == IndexHealth(0, 0, 0, 0.0, 0.0)

    def test_one_chunk_is_found(self, embedder: WordEmbedder) -> None:
        index = index_of(["the only passage"], embedder)
        found = Retriever(index, embedder, RetrievalConfig()).search("something else")
        assert len(ids(found)) == 1
        assert np.isfinite(found[0].score)


class TestHealth:
    def test_a_sound_index_is_sound(self, embedder: WordEmbedder) -> None:
        found = health(built(embedder.encode(MANY), embedder), embedder, sample=50)
        assert found == IndexHealth(300, 300, 50, 0.0, 0.0)

    def test_a_small_index_is_looked_at_whole(
        self, index: RagIndex, embedder: WordEmbedder
    ) -> None:
        assert health(index, embedder).sampled == len(TEXTS)

    def test_shuffled_vectors_are_misplaced_not_foreign(self, embedder: WordEmbedder) -> None:
        vectors = embedder.encode(MANY)
        rng = np.random.default_rng(1)
        half = rng.choice(300, 150, replace=False)
        vectors[half] = vectors[np.roll(half, 1)]
        found = health(built(vectors, embedder), embedder)
        assert found.misplaced_share == pytest.approx(0.5, abs=0.1)
        assert found.foreign_share == 0

    def test_vectors_of_another_embedder_are_foreign(self, embedder: WordEmbedder) -> None:
        projection = np.linalg.qr(np.random.default_rng(0).standard_normal((64, 64)))[0]
        rotated = (embedder.encode(MANY) @ projection).astype(np.float32)
        for vectors in (WordEmbedder(seed=9).encode(MANY), rotated, unit_vectors(300, 64)):
            found = health(built(vectors, embedder), embedder)
            assert (found.misplaced_share, found.foreign_share) == (0.0, 1.0)

    def test_vectors_of_another_dimension_are_foreign(self, embedder: WordEmbedder) -> None:
        found = health(built(unit_vectors(300, 32), embedder), embedder)
        assert (found.misplaced_share, found.foreign_share) == (0.0, 1.0)

    def test_texts_that_are_alike_do_not_count_as_misplaced(self, embedder: WordEmbedder) -> None:
        found = health(index_of(["same words here"] * 5, embedder), embedder)
        assert (found.misplaced_share, found.foreign_share) == (0.0, 0.0)

    def test_the_same_seed_draws_the_same_sample(self, embedder: WordEmbedder) -> None:
        vectors = embedder.encode(MANY)
        vectors[::2] = vectors[::-2]
        index = built(vectors, embedder)
        assert health(index, embedder, 40, seed=3) == health(index, embedder, 40, seed=3)
