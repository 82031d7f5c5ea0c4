"""What predicts from the bundle of a tabular problem."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from classic.tabular.columns import Floats
from classic.tabular.model import TabularModel
from classic.tabular.onnx_model import OnnxScorer
from classic.tabular.quick import QuickReader
from classic.tabular.stages.train import MODEL, ONNX
from lifecycle.bundle import Bundle
from lifecycle.errors import InputError
from lifecycle.tracing import annotate, span

Answer = dict[str, Any]


class TabularPredictor:
    """Predicts from one bundle, through ONNX Runtime where the bundle was exported. Safe to use
    from several threads."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.model = TabularModel.load(bundle.path / MODEL)
        onnx = bundle.path / ONNX
        self.scorer = OnnxScorer(onnx) if onnx.exists() else None
        if self.scorer is not None:
            columns = self.scorer.numbers, self.scorer.texts
            self._reader = QuickReader(self.model.schema, *columns)

    def predict(self, rows: list[Any]) -> list[Answer]:
        """What is predicted for each row, a mapping of column to value, in order; see
        ``TabularModel.predict_rows``. A row that cannot be read gets ``{"error": "…"}``.

        Raises InputError for a row that is no mapping.
        """
        for row in rows:
            if not isinstance(row, Mapping):
                raise InputError(
                    f"a row is a mapping of column to value, not {str(row)[:80]!r}.",
                    f"Its columns are: {', '.join(self.model.schema.features)}.",
                )
        with span("predict"):
            found = self._predict(rows)
            annotate(rows=len(rows), errors=sum("error" in one for one in found))
        return found

    def _predict(self, rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
        if self.scorer is None:
            return self.model.predict_rows(rows)
        numbers, texts, places = self._reader.read(rows)
        scored = (
            self._scored(self.scorer, self.scorer.score_packed(numbers, texts)) if places else []
        )
        if len(places) == len(rows):
            return scored
        found = dict(zip(places, scored, strict=True))
        rest = [place for place in range(len(rows)) if place not in found]
        found |= zip(rest, self.model.predict_rows([rows[place] for place in rest]), strict=True)
        return [found[place] for place in range(len(rows))]

    def _scored(self, scorer: OnnxScorer, scores: Floats) -> list[Answer]:
        """The answers that ``TabularModel`` gives, by the exported model's scores."""
        if self.model.problem == "binary":
            limit = self.model.threshold
            return [{"score": one, "prediction": int(one >= limit)} for one in scores.tolist()]
        if self.model.problem == "regression":
            return [dict(zip(scorer.outputs, row, strict=True)) for row in scores.tolist()]
        best = np.argmax(scores, axis=1)
        return [
            {
                "prediction": scorer.classes[at],
                "score": row[at],
                **dict(zip(scorer.outputs, row, strict=True)),
            }
            for row, at in zip(scores.tolist(), best.tolist(), strict=True)
        ]
