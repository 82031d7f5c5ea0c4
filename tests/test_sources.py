"""Sources: files below paths, Python's topics, files that are too large."""

from pathlib import Path

import pytest

from lifecycle.errors import SourceError
from rag.documents import load_documents
from rag.parsers import SUFFIXES
from rag.sources import collect, python_topics


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.md", "a.txt", "sub/c.RST", "sub/d.xyz", ".git/e.md", "sub/.hidden.md", "f.png"):
        path = tmp_path / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text of {name}")
    return tmp_path


def test_known_formats_below_a_folder_in_sorted_order(folder: Path) -> None:
    files = list(collect(["docs"], False, folder))
    assert [file.uri for file in files] == ["docs/a.txt", "docs/b.md", "docs/sub/c.RST"]
    assert files[0].data == b"text of a.txt"


def test_a_named_file_comes_whatever_its_suffix_and_is_then_skipped(folder: Path) -> None:
    files = collect(["docs/f.png", "docs/a.txt"], False, folder)
    loaded = load_documents(files, 0.5)
    assert [item.uri for item in loaded.skipped] == ["docs/f.png"]
    assert "no known format (.png;" in loaded.skipped[0].reason


def test_paths_outside_of_the_root_are_absolute(folder: Path, tmp_path: Path) -> None:
    (file,) = collect([str(tmp_path / "docs/a.txt")], False, folder / "docs/sub")
    assert file.uri == str(tmp_path / "docs/a.txt")


def test_missing_path_is_an_error_that_names_it(folder: Path) -> None:
    with pytest.raises(SourceError, match="'nowhere' does not exist"):
        list(collect(["docs", "nowhere"], False, folder))


def test_files_over_the_limit_come_without_data_and_with_the_reason(folder: Path) -> None:
    (folder / "docs/b.md").write_bytes(b"x" * 1_000_001)
    files = {file.uri: file for file in collect(["docs"], False, folder, max_file_mb=1)}
    assert files["docs/b.md"].data is None
    assert files["docs/b.md"].problem == "is larger than 1 MB."
    assert files["docs/a.txt"].data is not None


def test_topics_come_after_the_files_if_wanted(folder: Path) -> None:
    uris = [file.uri for file in collect(["docs"], True, folder)]
    assert uris[:3] == ["docs/a.txt", "docs/b.md", "docs/sub/c.RST"]
    assert uris[3:] == [file.uri for file in python_topics()]


def test_topics_are_sorted_named_and_all_readable() -> None:
    files = list(python_topics())
    uris = [file.uri for file in files]
    names = [uri.removeprefix("python:").removesuffix(".rst") for uri in uris]
    assert names == sorted(names)
    assert {"python:with.rst", "python:lambda.rst", "python:import.rst"} <= set(uris)
    loaded = load_documents(files, 0)
    assert len(loaded.documents) + len(loaded.skipped) == len(files)
    assert all(item.reason.startswith("same text as python:") for item in loaded.skipped)
    titles = {document.uri: document.title for document in loaded.documents}
    assert titles["python:with.rst"] == 'The "with" statement'


def test_suffixes_name_media_types() -> None:
    assert SUFFIXES[".md"] == "text/markdown"
    assert SUFFIXES[".pdf"] == "application/pdf"
    assert set(SUFFIXES) >= {".md", ".txt", ".rst", ".html", ".htm", ".pdf"}
