"""The MLflow model of every bundle, logged as code: MLflow runs this file to load one."""

from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext


class BundleModel(PythonModel):
    """``predict`` takes what the bundle's predictor takes, as a list, column or frame of rows."""

    def load_context(self, context: PythonModelContext) -> None:
        from lifecycle.predictors import load

        self.predictor = load(Path(context.artifacts["bundle"]))

    def predict(  # type: ignore[no-untyped-def]
        self, context, model_input, params=None
    ) -> list[dict[str, Any]]:
        return self.predictor.predict(_rows(model_input))


def _rows(model_input: Any) -> list[Any]:
    if hasattr(model_input, "to_dict"):
        columns = list(getattr(model_input, "columns", []))
        if len(columns) == 1:
            return list(model_input[columns[0]])
        return list(model_input.to_dict("records") if columns else model_input)
    return list(model_input)


set_model(BundleModel())
