"""Candidates: kinds of model that tuning chooses from, one file each."""

from classic.tabular.candidates.base import Candidate
from classic.tabular.candidates.boosting import Boosting
from classic.tabular.candidates.forest import Forest
from classic.tabular.candidates.lightgbm_trees import Lightgbm
from classic.tabular.candidates.linear import Linear
from classic.tabular.candidates.xgboost_trees import Xgboost
from classic.tabular.settings import Kind

CANDIDATES: dict[Kind, Candidate] = {
    "linear": Linear(),
    "forest": Forest(),
    "boosting": Boosting(),
    "lightgbm": Lightgbm(),
    "xgboost": Xgboost(),
}
