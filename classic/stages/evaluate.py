"""Scores of any bundle of this package on a holdout, for the gate."""

from pathlib import Path
from typing import TYPE_CHECKING

from classic.recommend.stages import evaluate as recommend
from classic.tabular.stages import evaluate as tabular
from lifecycle.bundle import read_manifest

if TYPE_CHECKING:
    import pandas as pd


def score_bundle(bundle: Path, evaluated: Path, cache: Path) -> "pd.DataFrame":
    """Scores of the bundle on the holdout in ``evaluated``, computed once for each pair."""
    if read_manifest(bundle).settings["problem"] == "recommendation":
        return recommend.score_bundle(bundle, evaluated, cache)
    return tabular.score_bundle(bundle, evaluated, cache)
