"""What answers from a bundle of the `classic` pipeline, by the kind of problem."""

from pathlib import Path

from classic.recommend.predictor import RecommendPredictor
from classic.tabular.predictor import TabularPredictor
from lifecycle.bundle import Bundle, open_bundle


def load(
    path: Path, device: str = "", receipts: Path | None = None
) -> RecommendPredictor | TabularPredictor:
    """The predictor of the bundle at ``path``, checked as ``open_bundle`` does. BundleError.

    These models run on the processor; ``device`` is not needed.
    """
    return predictor_of(open_bundle(path, receipts))


def predictor_of(bundle: Bundle) -> RecommendPredictor | TabularPredictor:
    if bundle.manifest.settings["problem"] == "recommendation":
        return RecommendPredictor(bundle)
    return TabularPredictor(bundle)
