"""Loading: what is read, what is skipped and why, and when it is too much."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import SourceError
from lifecycle.sources import RawFile
from rag.documents import Loaded, Skipped, load_documents


def raw(uri: str, text: str | None) -> RawFile:
    problem = "cannot be read: Permission denied" if text is None else ""
    return RawFile(uri, None if text is None else text.encode(), problem)


def load(*files: tuple[str, str | None], share: float = 0.5) -> Loaded:
    return load_documents([raw(*file) for file in files], share)


def test_documents_keep_the_order_of_their_files() -> None:
    loaded = load(("b.md", "# B"), ("a.txt", "a"), ("c.rst", "C\n=\n"))
    assert [document.uri for document in loaded.documents] == ["b.md", "a.txt", "c.rst"]
    assert [document.title for document in loaded.documents] == ["B", "a.txt", "c.rst"]
    assert loaded.skipped == []


def test_one_document_is_a_corpus() -> None:
    assert len(load(("a.md", "text")).documents) == 1


def test_unreadable_files_are_listed_with_the_reason() -> None:
    loaded = load(("a.md", "x"), ("b.md", ""), ("c.md", " \n"), ("d.md", None), share=0.8)
    assert loaded.skipped == [
        Skipped("b.md", "is empty"),
        Skipped("c.md", "holds no text, only white space"),
        Skipped("d.md", "cannot be read: Permission denied"),
    ]


def test_copies_are_listed_with_what_they_copy_and_are_not_unreadable() -> None:
    loaded = load(("a.md", "same"), ("b.txt", "same"), ("a.md", "same"), share=0)
    assert [document.uri for document in loaded.documents] == ["a.md"]
    assert loaded.skipped == [
        Skipped("b.txt", "same text as a.md"),
        Skipped("a.md", "same text as a.md"),
    ]


def test_copies_are_found_behind_other_line_ends_and_encodings() -> None:
    files = [RawFile("a.md", b"caf\xc3\xa9\r\nx"), RawFile("b.md", "café\nx".encode("utf-16"))]
    assert load_documents(files, 0).skipped == [Skipped("b.md", "same text as a.md")]


def test_no_files_at_all_is_an_error_with_a_way_out() -> None:
    with pytest.raises(SourceError, match=r"the source is empty\. Name folders or files"):
        load()


def test_nothing_readable_is_an_error_that_names_the_reasons() -> None:
    with pytest.raises(SourceError) as caught:
        load(("a.md", ""), ("b.md", "\x00\x01"), share=1.0)
    assert "none of 2 files can be read: a.md is empty; b.md is not a text file" in str(
        caught.value
    )


def test_too_many_unreadable_files_stop_the_run_with_count_share_and_first_reasons() -> None:
    with pytest.raises(SourceError) as caught:
        load(("ok.md", "x"), *((f"{n}.md", "") for n in range(5)), share=0.2)
    message = str(caught.value)
    assert "5 of 6 files cannot be read" in message
    assert "0.2" in message
    assert "0.md is empty; 1.md is empty; 2.md is empty; and 2 more." in message


@pytest.mark.parametrize("share", [0.25, 0.3, 1.0])
def test_share_is_allowed_up_to_its_limit(share: float) -> None:
    files = (("a.md", "1"), ("b.md", "2"), ("c.md", "3"), ("d.md", ""))
    assert len(load(*files, share=share).documents) == 3


def test_files_may_come_from_a_generator() -> None:
    assert len(load_documents((raw(f"{n}.txt", f"text {n}") for n in range(5)), 0).documents) == 5


@settings(deadline=None)
@given(st.lists(st.sampled_from(["one", "two", "three", "", " ", "\x00\x00"]), max_size=12))
def test_every_file_ends_as_a_document_or_in_the_list(texts: list[str]) -> None:
    files = [raw(f"{number}.txt", text) for number, text in enumerate(texts)]
    readable = {text for text in texts if text.strip(" \x00")}
    if not readable:
        with pytest.raises(SourceError):
            load_documents(files, 1.0)
        return
    loaded = load_documents(files, 1.0)
    assert {document.text for document in loaded.documents} == readable
    assert len(loaded.documents) == len(readable)
    uris = [document.uri for document in loaded.documents] + [item.uri for item in loaded.skipped]
    assert sorted(uris) == sorted(file.uri for file in files)
