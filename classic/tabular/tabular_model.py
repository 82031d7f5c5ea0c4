"""A model of a table: what it was trained on, how it answers, and how it is kept."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from classic.tabular.baseline import Baseline
from classic.tabular.calibration import Calibration
from classic.tabular.candidates import CANDIDATES
from classic.tabular.candidates.base import Fitted, Task
from classic.tabular.candidates.files import AGAIN
from classic.tabular.columns import Columns, Floats
from classic.tabular.intervals import Intervals
from classic.tabular.preparation import Preparation, Prepared
from classic.tabular.rows import checked, frame_of, misspelt
from classic.tabular.settings import Costs, Kind, Problem
from classic.tabular.threads import limited
from lifecycle.atomic import directory
from lifecycle.errors import BundleError, InputError
from lifecycle.tables import TableSchema

if TYPE_CHECKING:
    import pandas as pd

FILE = "model.json"
FORMAT = 1


@dataclass(frozen=True)
class TabularModel:
    """``classes``: names in the order of the probabilities, of two the positive one last; empty for
    a regression. ``params``: what tuning chose. ``costs``: what the threshold was chosen by."""

    task: Task
    schema: TableSchema
    kind: Kind
    params: dict[str, Any]
    classes: list[str]
    preparation: Preparation
    fitted: Fitted
    calibration: Calibration
    intervals: Intervals | None
    threshold: float
    costs: Costs
    baseline: Baseline

    @property
    def problem(self) -> Problem:
        return self.task.problem

    @property
    def inputs(self) -> list[str]:
        """The columns that it reads."""
        return list(self.preparation.columns)

    def predict(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """One row for each of ``frame``, with its index.

        regression: prediction, low, high. binary: score (the positive class's probability),
        prediction (0 or 1). multiclass: prediction (a class), score (its probability), and
        ``prob.<class>`` for each.

        Raises InputError for the first value that the schema does not allow.
        """
        columns, problems = checked(frame, self.schema, self.inputs)
        if problems:
            place = min(problems)
            raise InputError(f"row {frame.index[place]}: {problems[place]}")
        return self._answers(columns, frame.index)

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """One answer a row as JSON knows it, with the keys of ``predict``; ``{"error": …}`` for a
        row that cannot be answered."""
        frame = frame_of(rows, self.schema, self.inputs)
        columns, problems = checked(frame, self.schema, self.inputs)
        for place, row in enumerate(rows):
            if wrong := misspelt(row, self.schema, self.inputs):
                problems[place] = wrong
        good = np.array([place for place in range(len(rows)) if place not in problems], dtype=int)
        answers: list[dict[str, Any]] = [{"error": problems.get(n, "")} for n in range(len(rows))]
        if len(good):
            part = {name: column[good] for name, column in columns.items()}
            records = self._answers(part, frame.index[good]).to_dict(orient="records")
            for place, record in zip(good, records, strict=True):
                answers[place] = {str(key): value for key, value in record.items()}
        return answers

    def score(self, prepared: Prepared) -> Floats:
        """(rows,) numbers, or calibrated (rows, classes) probabilities, of prepared rows."""
        with limited(self.task.threads):
            found = self.fitted.predict(prepared)
        return found if self.problem == "regression" else self.calibration(found)

    def save(self, folder: Path) -> None:
        """A new folder of JSON and the library's own format; whole or not at all."""
        with directory(folder) as temporary:
            self.fitted.save(temporary)
            if self.intervals:
                self.intervals.save(temporary)
            (temporary / FILE).write_text(json.dumps(self._facts()), "utf-8")

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> "TabularModel":
        """Raises BundleError where the folder holds no whole model."""
        try:
            raw = json.loads((folder / FILE).read_text("utf-8"))
            if raw["format"] != FORMAT:
                raise ValueError(f"its format is {raw['format']}, this version reads {FORMAT}")
            task = Task(**{**raw["task"], "threads": threads})
            return cls(
                task=task,
                schema=TableSchema.model_validate(raw["schema"]),
                kind=raw["kind"],
                params=raw["params"],
                classes=raw["classes"],
                preparation=Preparation.from_dict(raw["preparation"]),
                fitted=CANDIDATES[raw["kind"]].fitted.load(folder, task),
                calibration=Calibration.from_dict(raw["calibration"]),
                intervals=None if raw["classes"] else Intervals.load(folder, threads),
                threshold=raw["threshold"],
                costs=Costs.model_validate(raw["costs"]),
                baseline=Baseline(
                    **{**raw["baseline"], "shares": tuple(raw["baseline"]["shares"])}
                ),
            )
        except (OSError, KeyError, TypeError, ValueError, ValidationError) as error:
            line = " ".join(str(error).split())[:200]
            raise BundleError(f"{folder} holds no tabular model: {line}.", AGAIN) from error

    def _answers(self, columns: Columns, index: "pd.Index[Any]") -> "pd.DataFrame":
        import pandas as pd

        prepared = self.preparation(columns)
        scores = self.score(prepared)
        if self.intervals:
            low, high = self.intervals(prepared, scores)
            found: dict[str, Any] = {"prediction": scores, "low": low, "high": high}
        elif self.problem == "binary":
            positive = scores[:, 1]
            found = {"score": positive, "prediction": (positive >= self.threshold).astype(np.int64)}
        else:
            best = scores.argmax(axis=1)
            found = {"prediction": np.asarray(self.classes, dtype=object)[best]}
            found["score"] = scores[np.arange(len(best)), best]
            found |= {f"prob.{name}": scores[:, n] for n, name in enumerate(self.classes)}
        return pd.DataFrame(found, index=index)

    def _facts(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "task": asdict(self.task),
            "schema": self.schema.model_dump(mode="json"),
            "kind": self.kind,
            "params": self.params,
            "classes": self.classes,
            "preparation": self.preparation.to_dict(),
            "calibration": self.calibration.to_dict(),
            "threshold": self.threshold,
            "costs": self.costs.model_dump(),
            "baseline": asdict(self.baseline),
        }
