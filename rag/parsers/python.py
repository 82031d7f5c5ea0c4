"""Python source: docstrings with the signatures that they belong to. Nothing is imported or run.

Lines are those of the source.
"""

import ast
import inspect
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lifecycle.errors import SourceError
from rag.parsers import rst
from rag.parsers.base import NothingToReadError, Parsed, Stack, one_line
from rag.parsers.encoding import decode

MEDIA = "text/x-python"
SUFFIXES = (".py",)

_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", re.M)  # PEP 263
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = ast.ClassDef | _Function


def parse(data: bytes) -> Parsed:
    """Blocks: signatures as headings, methods below their class, and docstrings as
    reStructuredText, which finds their sections and examples."""
    coding = _CODING.search(b"\n".join(data[:1000].split(b"\n")[:2]))
    text = decode(data, coding[1].decode() if coding else "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in others' source
            module = ast.parse(text)
        reader = _Reader(text.split("\n"))
        reader.module(module)
    except SyntaxError as error:
        reason = f"line {error.lineno}: {one_line(error.msg, 80)}"
        raise SourceError(f"is no valid Python source ({reason}).") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SourceError(f"is no valid Python source ({one_line(str(error), 80)}).") from error
    if not reader.stack.blocks:
        raise NothingToReadError("holds no text, as it has no docstrings.")
    return reader.stack.parsed(reader.title)


@dataclass
class _Reader:
    lines: Sequence[str]
    stack: Stack = field(default_factory=Stack)
    title: str = ""

    def module(self, module: ast.Module) -> None:
        self.title = one_line((ast.get_docstring(module) or "").strip().split("\n")[0], 80)
        self._docstring(module, 0)
        for node in _definitions(module.body):
            self._definition(node, 1)

    def _definition(self, node: _Definition, level: int) -> None:
        if not _documented(node):
            return
        title = one_line(node.name, 80)
        self.stack.add_block("heading", _signature(node), node.lineno, level, title)
        self._docstring(node, level)
        if isinstance(node, ast.ClassDef):
            for inner in _definitions(node.body):
                if inner.name == "__init__" and not _documented(inner):
                    self.stack.add_block("code", _signature(inner), inner.lineno, level)
                self._definition(inner, level + 1)

    def _docstring(self, node: ast.Module | _Definition, level: int) -> None:
        raw = ast.get_docstring(node, clean=False)
        if raw is None or not (text := inspect.cleandoc(raw).strip()):
            return
        start = node.body[0].lineno
        # A backslash behind the quotes takes the first line break out of the value.
        start += self.lines[start - 1].rstrip().endswith(('"""\\', "'''\\"))
        start += raw[: len(raw) - len(raw.lstrip())].count("\n")
        part = rst.parse_text(text)
        self.stack.add(part.text, part.blocks, start, deeper=level)


def _documented(node: _Definition) -> bool:
    if (ast.get_docstring(node, clean=False) or "").strip():
        return True
    return isinstance(node, ast.ClassDef) and any(map(_documented, _definitions(node.body)))


def _definitions(body: Sequence[ast.stmt]) -> Iterator[_Definition]:
    """Classes and functions in ``body``, those under ``if`` and ``try`` too."""
    for node in body:
        if isinstance(node, _Definition):
            yield node
        elif isinstance(node, ast.If | ast.Try):
            yield from _definitions([*node.body, *node.orelse])
            for handler in getattr(node, "handlers", ()):
                yield from _definitions(handler.body)


def _signature(node: _Definition) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in [*node.bases, *node.keywords])
        return f"class {node.name}({bases})" if bases else f"class {node.name}"
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{word} {node.name}({ast.unparse(node.args)}){result}"
