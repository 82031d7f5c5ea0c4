"""Questions that an index is measured on, as they stand in a file.

A question names its source and quotes the passage that answers it, not a chunk: chunks change with
the chunker, and ``rag.relevance`` finds those that hold the quote.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from lifecycle.errors import InvalidDataError, SourceError, did_you_mean


class Question(BaseModel):
    """One line of a questions file.

    ``quote`` stands in the document ``source`` up to white space; ``answer`` is the span of it
    that answers, or empty. An unanswerable question has neither source nor quote. ``topic`` is a
    segment of the evaluation. ``synthetic``: made from the documents by ``rag.known_items``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    question: str
    split: Literal["dev", "test"] = "test"
    answerable: bool = True
    source: str = ""
    quote: str = ""
    answer: str = ""
    topic: str = ""
    synthetic: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.question.strip():
            raise ValueError("the question is empty")
        if self.answerable and not (self.source and self.quote.strip()):
            raise ValueError("an answerable question needs source and quote")
        if not self.answerable and (self.quote or self.answer):
            raise ValueError("an unanswerable question has no quote and no answer")
        if folded(self.answer) not in folded(self.quote):
            raise ValueError(f"the answer {self.answer!r} does not stand in the quote")
        return self


def load_questions(path: Path) -> list[Question]:
    """The questions of a JSONL file, blank lines left out.

    Raises SourceError where there is no such file and InvalidDataError naming the first line that
    is no question or repeats an id.
    """
    questions: list[Question] = []
    first_line: dict[str, int] = {}
    for number, line in _lines(path):
        question = _parse(line, f"{path}:{number}")
        if question.id in first_line:
            seen = first_line[question.id]
            raise InvalidDataError(f"{path}:{number}: id {question.id!r} is taken by line {seen}.")
        first_line[question.id] = number
        questions.append(question)
    return questions


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        near = [str(other) for other in sorted(path.parent.glob("*.jsonl"))]
        raise SourceError(
            f"there is no questions file {path}.", did_you_mean(str(path), near)
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"questions file {path} cannot be read: {error}.") from error
    return ((number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())


def _parse(line: str, where: str) -> Question:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise InvalidDataError(f"{where}: no JSON: {error.msg}.") from error
    try:
        return Question.model_validate(fields)
    except ValidationError as error:
        raise InvalidDataError(f"{where}: {_first_problem(error)}") from error


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown field {key!r}. {did_you_mean(key, Question.model_fields)}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{key}: {message}." if key else f"{message}."


def folded(text: str) -> str:
    """``text`` with its white space folded to single blanks."""
    return " ".join(text.split())
