"""Settings of learning from a table, as a use case's YAML has them."""

from typing import Annotated, Literal

from pydantic import Field

from lifecycle.config import Frozen

Problem = Literal["binary", "multiclass", "regression"]
Kind = Literal["linear", "forest", "boosting", "lightgbm", "xgboost"]
Metric = Literal[
    "auto",
    "log_loss",
    "average_precision",
    "roc_auc",
    "accuracy",
    "absolute_error",
    "squared_error",
]
Count = Annotated[int, Field(ge=1)]
Cost = Annotated[float, Field(ge=0)] | str
ALL: tuple[Kind, ...] = ("lightgbm", "linear", "xgboost", "boosting", "forest")


class Tuning(Frozen):
    """The search ends after ``trials`` or ``seconds``, whichever comes first; the defaults of each
    candidate come first. With ``seconds`` two runs may find different settings. ``metric``: auto
    is log_loss for classes and absolute_error for numbers."""

    trials: Count = 40
    seconds: Annotated[float, Field(gt=0)] | None = None
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    metric: Metric = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class Costs(Frozen):
    """What a wrong alarm and a missed case cost, in one unit; a text names a column of numbers
    that has it for each row (what a fraud costs is its amount)."""

    false_positive: Cost = 1.0
    false_negative: Cost = 1.0


class Learning(Frozen):
    """``positive``: the class that is looked for, of two. ``coverage``: the share of rows that an
    interval is to hold. Values of a category in fewer rows than ``min_category_count`` are one
    value; a category of more than ``max_one_hot`` values is always encoded by its target."""

    candidates: tuple[Kind, ...] = Field(default=ALL, min_length=1)
    tuning: Tuning = Tuning()
    calibration: Literal["auto", "sigmoid", "isotonic", "none"] = "auto"
    costs: Costs = Costs()
    positive: str = ""
    coverage: Annotated[float, Field(gt=0, lt=1)] = 0.9
    min_category_count: Count = 10
    max_one_hot: Count = 30
