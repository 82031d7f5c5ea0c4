"""The collections that retrieval is tuned on: what a query asks for is not told by the document."""

import json
from pathlib import Path

from benchmarks.make_collections import PACKAGES, Item, endings, functions, headed, titles, write
from benchmarks.retrieval_systems import Collection
from lifecycle.sources import RawFile

SECTION = "It joins one sea to the other and saves a long way around the cape of storms. " * 4


def test_a_function_comes_without_its_docstring_and_under_its_path() -> None:
    items = list(functions("rich"))

    assert len(items) > 50
    for item in items:
        path = item.name.rpartition(":")[0]
        assert item.text.startswith(f"# {path}\n")
        assert item.query not in item.text.replace("\n", " ")
    compile(items[0].text, items[0].name, "exec")


def test_a_section_comes_without_its_heading() -> None:
    text = f"# Canals\n\n## How ships pass the desert\n\n{SECTION}\n\n## Tolls\n\n{SECTION}\n"

    (item,) = headed([RawFile("a.md", text.encode())], "a")

    assert (item.query, item.title, item.text) == (
        "How ships pass the desert",
        "Canals",
        SECTION.strip(),
    )


def test_an_abstract_is_asked_for_by_its_title_and_by_its_last_sentence(tmp_path: Path) -> None:
    text = f"{SECTION}We conclude that tolls are too low."
    row = {"_id": 7, "title": "Canals", "text": text}
    (tmp_path / "corpus.jsonl").write_text(json.dumps(row) + "\n")

    assert list(titles(tmp_path)) == [Item("7", "7", "Canals", "", text)]
    (item,) = endings(tmp_path)
    assert item.query == "We conclude that tolls are too low."
    assert (item.title, item.text) == ("Canals", SECTION.strip())


def test_equal_texts_and_equal_queries_stand_once_and_bytes_do_not_change(tmp_path: Path) -> None:
    items = [Item(f"{n}", "p", f"query {n % 3}", "", f"text {n % 5}") for n in range(30)]

    write(tmp_path / "one", items)
    write(tmp_path / "two", reversed(items))

    made = Collection.read(tmp_path / "one")
    assert len(set(made.texts)) == len(made.texts) == len(set(made.queries.values())) == 3
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_no_package_is_in_both_splits() -> None:
    assert not set(PACKAGES["dev"]) & set(PACKAGES["test"])
