"""What predicts from the bundle of a tabular problem."""

from collections.abc import Mapping
from typing import Any

from classic.tabular.model import TabularModel
from classic.tabular.stages.train import MODEL
from lifecycle.bundle import Bundle
from lifecycle.errors import InputError
from lifecycle.tracing import annotate, span


class TabularPredictor:
    """Predicts from one bundle. Safe to use from several threads."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.model = TabularModel.load(bundle.path / MODEL)

    def predict(self, rows: list[Any]) -> list[dict[str, Any]]:
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
            found = self.model.predict_rows(rows)
            annotate(rows=len(rows), errors=sum("error" in one for one in found))
        return found
