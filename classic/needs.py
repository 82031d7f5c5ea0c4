"""What answering from a bundle of the `classic` pipeline needs, of all that making it took."""

import sys

from classic.tabular.stages.train import ONNX
from lifecycle.bundle import Bundle

_RECOMMENDER = ("numba", "numpy", "pandas", "pyarrow", "pydantic", "scipy", "threadpoolctl")
_TABULAR = ("numpy", "pandas", "pyarrow", "pydantic", "scikit-learn", "threadpoolctl")
_OF_MODEL = {
    "linear": ("scipy", "skops"),
    "forest": ("scipy", "skops"),
    "boosting": ("scipy", "skops"),
    "lightgbm": ("lightgbm",),
    "xgboost": ("scipy", "xgboost" if sys.platform == "darwin" else "xgboost-cpu"),
}


def needs(bundle: Bundle) -> list[str]:
    """The packages that the bundle's predictor imports."""
    settings = bundle.manifest.settings
    if settings["problem"] == "recommendation":
        return list(_RECOMMENDER)
    intervals = ["lightgbm"] if settings["problem"] == "regression" else []
    exported = ["onnxruntime"] if ONNX in bundle.manifest.files else []
    return [*_TABULAR, *_OF_MODEL[settings["model"]], *intervals, *exported]
