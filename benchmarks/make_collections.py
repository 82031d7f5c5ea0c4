"""Makes collections in BEIR layout out of what is installed, to choose settings by.

    python benchmarks/make_collections.py FOLDER [--scifact DIR]

Writes into FOLDER, each with corpus.jsonl, queries.jsonl and qrels/test.tsv:

- code-dev, code-test: a document is a function's source under the comment ``# path``, without its
  docstring; the query is the docstring's first sentence;
- docs-dev, docs-test: a document is the rest of a long docstring, and the query its summary; or a
  section of Python's language topics, of packages' descriptions and of their documentation files,
  and the query its heading, which is taken out of it;
- titles, endings (with --scifact, from its corpus alone): an abstract without its title, asked for
  by the title; title and abstract without its last sentence, asked for by that sentence.

No package has a part in both dev and test. Source is parsed, never imported. What is in a
collection depends on the versions installed; the same ones give the same bytes.
"""

import argparse
import ast
import hashlib
import json
import re
import sys
import sysconfig
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lifecycle.errors import SourceError
from lifecycle.sources import RawFile
from rag.outline import sections
from rag.parsers import parse
from rag.sentences import sentence_spans
from rag.sources import package_files, python_topics

PACKAGES = {
    "dev": ("PIL", "langchain_core", "networkx", "python", "rich", "scipy", "sqlalchemy", "sympy"),
    "test": ("hypothesis", "matplotlib", "mlflow", "pandas", "pydantic", "sklearn", "torch"),
}
"""By the folder of their source; ``python`` is the standard library."""

DOCUMENTS, QUERIES, OF_A_PACKAGE = 3_000, 1_000, 700
_FOLDERS = {"pillow": "PIL", "langchain-core": "langchain_core", "scikit-learn": "sklearn"}
_LONGEST = 12_000  # characters of a document
_WORD = re.compile(r"[A-Za-z]{2,}")
_SKIPPED = {"test", "tests", "testing", "_vendor", "site-packages", "idlelib", "lib2to3"}
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Item(NamedTuple):
    """A document and the query that asks for it; ``origin``: the package."""

    name: str
    origin: str
    query: str
    title: str
    text: str


def functions(package: str) -> Iterator[Item]:
    """The documented functions and methods of ``package`` that are worth looking for."""
    for path, source, tree in _modules(package):
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            query, body = _first_sentence(ast.get_docstring(node) or ""), _body(source, node)
            if _asks(query, node.name) and body.count("\n") >= 4:
                name = f"{path}:{node.lineno}"
                yield Item(name, package, query, "", f"# {path}\n{body}")


def docstrings(package: str) -> Iterator[Item]:
    """Docstrings of ``package`` that go on for at least 60 words after their first sentence."""
    for path, _, tree in _modules(package):
        for node in ast.walk(tree):
            if not isinstance(node, _Definition | ast.Module):
                continue
            text = ast.get_docstring(node) or ""
            query = _first_sentence(text)
            rest = text.split("\n\n", 1)[-1].strip()
            if _asks(query, getattr(node, "name", "")) and len(_WORD.findall(rest)) >= 60:
                yield Item(f"{path}:{getattr(node, 'lineno', 0)}", package, query, "", rest)


def headed(files: Iterable[RawFile], origin: str) -> Iterator[Item]:
    """Sections of at least 40 words under a heading of at least three."""
    for raw in files:
        try:
            document = parse(raw)
        except SourceError:
            continue
        for number, section in enumerate(sections(document.blocks)):
            blocks = [document.blocks[at] for at in section.blocks]
            if not blocks or blocks[0].kind != "heading" or not section.path:
                continue
            text = document.text[blocks[0].end : blocks[-1].end].strip()
            if _asks(section.path[-1], "", 3) and len(_WORD.findall(text)) >= 40:
                title = section.path[-2] if len(section.path) > 1 else ""
                yield Item(f"{raw.uri}#{number}", origin, section.path[-1], title, text)


def documentation(split: str) -> Iterator[Item]:
    """Docstrings of the split's packages, and sections of documentation beside the source."""
    for package in PACKAGES[split]:
        yield from docstrings(package)
    if split == "dev":
        yield from headed(python_topics(), "python")
    for name in sorted({found.metadata["Name"] for found in metadata.distributions()}):
        if _side(name) == split:
            texts = (one for one in package_files(name) if not one.uri.endswith(".py"))
            yield from headed(texts, name)


def titles(scifact: Path) -> Iterator[Item]:
    for one in _corpus(scifact):
        yield Item(one["_id"], one["_id"], one["title"], "", one["text"])


def endings(scifact: Path) -> Iterator[Item]:
    for one in _corpus(scifact):
        start = [begin for begin, _ in sentence_spans(one["text"])][-1]
        head, last = one["text"][:start].strip(), one["text"][start:].strip()
        if len(_WORD.findall(head)) >= 40 and _asks(last, ""):
            yield Item(one["_id"], one["_id"], last, one["title"], head)


def write(folder: Path, items: Iterable[Item]) -> str:
    """Up to 3,000 of ``items``, and 1,000 of their queries, drawn by the hash of their names."""
    drawn = _distinct(sorted(items, key=lambda item: _hash(item.name)))
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    documents = sorted(drawn, key=lambda item: item.name)
    asked = sorted(drawn[:QUERIES], key=lambda item: item.name)
    _write_lines(
        folder / "corpus.jsonl",
        ({"_id": one.name, "title": one.title, "text": one.text} for one in documents),
    )
    _write_lines(folder / "queries.jsonl", ({"_id": one.name, "text": one.query} for one in asked))
    judged = "".join(f"{one.name}\t{one.name}\t1\n" for one in asked)
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}", "utf-8")
    return f"{folder.name}: {len(documents)} documents, {len(asked)} queries"


def _distinct(items: Iterable[Item]) -> list[Item]:
    """The first of equal texts and of equal queries, and not too many of one package."""
    kept: list[Item] = []
    seen: set[str] = set()
    origins: Counter[str] = Counter()
    for item in items:
        keys = {_folded(item.query), _folded(item.text.partition("\n")[2] or item.text)}
        full = origins[item.origin] >= OF_A_PACKAGE or len(kept) >= DOCUMENTS
        if keys & seen or full or len(item.text) > _LONGEST:
            continue
        seen |= keys
        origins[item.origin] += 1
        kept.append(item)
    return kept


def _modules(package: str) -> Iterator[tuple[str, str, ast.Module]]:
    """Path, source and syntax tree of each module of ``package``, tests left out."""
    paths = sysconfig.get_paths()
    library = paths["stdlib"] if package == "python" else f"{paths['purelib']}/{package}"
    root = Path(library) if package == "python" else Path(library).parent
    for path in sorted(Path(library).rglob("*.py")):
        inside = path.relative_to(root)
        if _SKIPPED & set(inside.parts) or path.name.startswith(("test_", "conftest")):
            continue
        source = path.read_bytes().decode("utf-8", "replace")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                yield inside.as_posix(), source, ast.parse(source)
            except (SyntaxError, ValueError):
                continue


def _body(source: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The source of ``node`` without its docstring, or "" where they share a line."""
    lines, docstring = source.splitlines(), node.body[0]
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1
    start, end = docstring.lineno - 1, docstring.end_lineno or docstring.lineno
    if start < node.lineno or len(node.body) < 2 or node.body[1].lineno <= end:
        return ""
    return textwrap.dedent("\n".join(lines[first:start] + lines[end : node.end_lineno]))


def _first_sentence(docstring: str) -> str:
    paragraph = " ".join(docstring.strip().split("\n\n")[0].split())
    spans = list(sentence_spans(paragraph))
    return paragraph[slice(*spans[0])].strip() if spans else ""


def _asks(query: str, name: str, least: int = 4) -> bool:
    """Whether ``query`` says more than ``name`` and is a sentence or a heading, not a table."""
    said = {word.lower() for word in _WORD.findall(query)}
    known = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}
    return len(said) >= least and len(said - known) >= min(least, 3) and len(query) <= 400


def _corpus(folder: Path) -> Iterator[dict[str, str]]:
    for line in (folder / "corpus.jsonl").read_text("utf-8").splitlines():
        one = json.loads(line)
        if one.get("title") and one.get("text"):
            yield {"_id": str(one["_id"]), "title": one["title"], "text": one["text"]}


def _write_lines(path: Path, rows: Iterable[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _side(name: str) -> str:
    """The split of the distribution ``name``: that of its source, or else one by its hash."""
    folder = _FOLDERS.get(name.lower(), name)
    drawn = "dev" if int(_hash(name.lower())[:8], 16) % 2 else "test"
    return next((split for split, own in PACKAGES.items() if folder in own), drawn)


def _folded(text: str) -> str:
    return " ".join(text.lower().split())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--scifact", type=Path, metavar="DIR")
    given = parser.parse_args()
    made: dict[str, Iterator[Item]] = {}
    for split, packages in PACKAGES.items():
        made[f"code-{split}"] = chain.from_iterable(map(functions, packages))
        made[f"docs-{split}"] = documentation(split)
    if given.scifact:
        made |= {"titles": titles(given.scifact), "endings": endings(given.scifact)}
    for name, items in made.items():
        print(write(given.folder / name, items), flush=True)


if __name__ == "__main__":
    main()
