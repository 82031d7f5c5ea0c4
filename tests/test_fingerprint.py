"""The code fingerprint follows imports, and changes with what it follows."""

from pathlib import Path

import pytest

from lifecycle import fingerprint
from lifecycle.errors import UsageError
from lifecycle.usecases import find, known


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """steps/a.py imports rag/b.py, which imports rag/c.py only inside a function."""
    for package in ("steps", "rag", "lifecycle"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "steps" / "a.py").write_text("from rag.b import f\n")
    (tmp_path / "rag" / "b.py").write_text("def f():\n    from rag import c\n    return c.X\n")
    (tmp_path / "rag" / "c.py").write_text("X = 1\n")
    (tmp_path / "rag" / "other.py").write_text("Y = 1\n")
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    return tmp_path


def test_imports_inside_functions_count(project: Path) -> None:
    assert fingerprint.dependencies(["steps.a"]) == [
        "rag/__init__.py",
        "rag/b.py",
        "rag/c.py",
        "steps/__init__.py",
        "steps/a.py",
    ]


def test_files_of_other_packages_are_left_out_when_that_is_asked_for(project: Path) -> None:
    assert fingerprint.dependencies(["steps.a"], {"steps"}) == ["steps/__init__.py", "steps/a.py"]


def test_an_edit_changes_what_depends_on_it_and_nothing_else(project: Path) -> None:
    before = fingerprint.fingerprint(["steps.a"])
    (project / "rag" / "other.py").write_text("Y = 2\n")
    assert fingerprint.fingerprint(["steps.a"]) == before
    (project / "rag" / "c.py").write_text("X = 2\n")
    assert fingerprint.fingerprint(["steps.a"]) != before


def test_outside_a_checkout_there_is_no_commit(project: Path) -> None:
    version = fingerprint.code_version(["steps.a"])
    assert (version.commit, version.dirty) == ("", False)
    assert str(version).startswith("no commit (")


def test_versions_of_what_is_not_installed_are_left_out() -> None:
    assert list(fingerprint.libraries(["numpy", "no-such-distribution"])) == ["numpy"]


def test_use_cases_are_found_by_name() -> None:
    assert {"handbook", "documents"} <= set(known())
    assert find("handbook").config_file("rag").is_file()
    with pytest.raises(UsageError, match="Did you mean 'handbook'"):
        find("handbok")
    with pytest.raises(UsageError, match=r"has no classic\.yaml. It supports: rag"):
        find("handbook").config_file("classic")
