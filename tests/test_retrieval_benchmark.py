"""The retrieval benchmark on a collection of a few documents, with every system in it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.retrieval_systems import SYSTEMS, Collection, Material, Search, chunked
from tests.contracts import minilm

ROOT = Path(__file__).resolve().parent.parent
FIGURES = {"ndcg@10", "recall@10", "recall@100", "mrr@10", "build_s", "p50_ms", "p99_ms"}
DOCUMENTS = {
    "canal/1": ("Suez Canal", "The waterway joins the Mediterranean Sea to the Red Sea."),
    "bees": ("Honey bees", "A larva that is fed royal jelly becomes a queen."),
    "copy": ("Honey bees", "A larva that is fed royal jelly becomes a queen."),
    "code": ("", "def read_config(path):\n    # parse the settings\n    return load(path)"),
    "long": ("Backups", "A snapshot is taken every night at two. " * 200 + "Tapes go to Oslo."),
    "empty": ("", " "),
}
QUERIES = {
    "q1": ("Which seas are joined by the waterway?", {"canal/1": 1, "bees": 0}),
    "q2": ("What is a queen larva fed?", {"bees": 1, "copy": 2}),
    "q3": ("read_config of a path", {"code": 1}),
    "q4": ("To which town do the tapes go?", {"long": 1}),
    "unjudged": ("Who?", {}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("beir") / "tiny"
    (made / "qrels").mkdir(parents=True)
    documents = [{"_id": i, "title": t, "text": x} for i, (t, x) in DOCUMENTS.items()]
    queries = [{"_id": i, "text": text} for i, (text, _) in QUERIES.items()]
    for name, rows in (("corpus", documents), ("queries", queries)):
        (made / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    grades = [(q, d, g) for q, (_, judged) in QUERIES.items() for d, g in judged.items()]
    lines = "".join(f"{q}\t{d}\t{g}\n" for q, d, g in grades)
    (made / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)
    return made


@pytest.fixture(scope="module")
def collection(folder: Path) -> Collection:
    return Collection.read(folder)


@pytest.fixture(scope="module")
def material(collection: Collection) -> Material:
    return Material.make(collection, minilm())


def test_only_judged_queries_are_asked_and_grade_0_is_not_relevant(collection: Collection) -> None:
    assert collection.relevant == {
        "q1": {"canal/1"},
        "q2": {"bees", "copy"},
        "q3": {"code"},
        "q4": {"long"},
    }
    assert collection.queries.keys() == collection.relevant.keys()


def test_ours_indexes_every_document_with_text_and_cuts_long_ones(collection: Collection) -> None:
    documents, chunks = chunked(collection)

    assert len(documents) == len(DOCUMENTS) - 1  # copies stay, the judgements may name either
    assert len([one for one in chunks if one.uri == "4.md"]) > 5
    assert {one.trail for one in chunks if one.uri == "4.md"} == {("Backups",)}


@pytest.mark.parametrize("name", SYSTEMS)
def test_each_system_ranks_each_document_once(name: str, material: Material) -> None:
    search: Search = SYSTEMS[name](material)

    ranking = search(QUERIES["q2"][0])

    assert set(ranking) <= set(DOCUMENTS)
    assert len(set(ranking)) == len(ranking)
    assert set(ranking[:2]) & {"bees", "copy"}


def test_ours_ranks_all_documents_by_their_best_chunks(material: Material) -> None:
    search = SYSTEMS["ours"](material)

    assert set(search(QUERIES["q4"][0])) == set(DOCUMENTS) - {"empty"}
    assert search(QUERIES["q4"][0])[0] == "long"  # in its last sentence, beyond 256 tokens
    assert search(QUERIES["q3"][0])[0] == "code"


def test_one_run_writes_every_figure_of_every_system(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/retrieval.py", str(folder), "--json"]
    done = subprocess.run(
        [*command, str(tmp_path / "r.json"), "--cache", str(tmp_path / "cache")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    (results,) = json.loads((tmp_path / "r.json").read_text()).values()
    assert list(results) == list(SYSTEMS)
    for figures in results.values():
        assert figures.keys() == FIGURES
        assert 0 < figures["ndcg@10"] <= 1
        assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    assert results["ours"]["recall@100"] == 1
    assert "tiny: 6 documents" in done.stdout
