"""The search for a candidate and its settings, by Optuna's TPE over folds of the training rows.

Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011. The starts of all
candidates come first, so that few trials are good already. A trial that falls behind the best one
on the same folds ends there, a race as by Maron and Moore, Hoeffding Races, NeurIPS 1993.
"""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classic.tabular.candidates import CANDIDATES
from classic.tabular.candidates.base import Choice, Data, Params, Space, Task
from classic.tabular.columns import Columns, Floats
from classic.tabular.fitting import Recipe, fit_preparation
from classic.tabular.folds import Fold
from classic.tabular.metrics import loss, shown
from classic.tabular.preparation import Preparation, Prepared
from classic.tabular.settings import Kind, Learning
from lifecycle.tables import TableSchema

if TYPE_CHECKING:
    import optuna
    import pandas as pd

Progress = Callable[[str], None]
_IMBALANCED = 3.0
"""Rows of the commonest class for one of the rarest, from which on weights are tried."""
_CACHED_BYTES = 1 << 30
_BEHIND = 0.5
"""How far a trial may fall behind, in standard errors of the best trial's mean over the folds."""
_LAST_FIT = 1.5
"""Time kept for the fit on all rows, in those of a fold."""


@dataclass(frozen=True)
class Training:
    """The training rows, and what is to be learnt from them."""

    columns: Columns
    schema: TableSchema
    target: NDArray[Any]
    task: Task
    learning: Learning

    def recipe(self, kind: Kind, params: Params) -> Recipe:
        least, most = self.learning.min_category_count, self.learning.max_one_hot
        return Recipe(CANDIDATES[kind].scaled, params["categories"], least, most)

    def weights(self, rows: NDArray[np.int64], params: Params) -> Floats:
        """Of each of ``rows``, mean 1: the rows of its class to the power of −``balance``."""
        if not params.get("balance"):
            return np.ones(len(rows))
        counts = np.bincount(self.target, minlength=self.task.classes)
        weights = np.power(counts.astype(np.float64), -params["balance"])[self.target[rows]]
        scaled: Floats = weights / weights.mean()
        return scaled

    def prepare(
        self, rows: NDArray[np.int64], kind: Kind, params: Params
    ) -> tuple[Preparation, Prepared]:
        part = {name: column[rows] for name, column in self.columns.items()}
        recipe = self.recipe(kind, params)
        return fit_preparation(part, self.schema, self.target[rows], recipe, self.task.seed)

    def space(self, kind: Kind) -> Space:
        found = CANDIDATES[kind].space(self.task, len(self.target))
        if not any(self.schema.columns[name].type == "category" for name in self.columns):
            start = found["categories"]
            assert isinstance(start, Choice)
            found = {**found, "categories": Choice((start.start,), start.start)}
        if self.task.problem == "regression":
            return found
        counts = np.bincount(self.target)
        powers = (0.0, 0.5, 1.0) if counts.max() > _IMBALANCED * counts.min() else (0.0,)
        return {**found, "balance": Choice(powers, 0.0)}


@dataclass
class Best:
    """The best trial: its loss and predictions by folds, the trees and the mean seconds of one."""

    kind: Kind
    params: Params
    losses: list[float]
    predicted: list[Floats]
    rounds: list[int]
    seconds: float

    @property
    def value(self) -> float:
        return float(np.mean(self.losses))

    def leaves_behind(self, losses: Sequence[float]) -> bool:
        """Whether a trial with these losses on the first folds is out of the race."""
        spread = float(np.std(self.losses)) / math.sqrt(len(losses))
        behind = float(np.mean(losses) - np.mean(self.losses[: len(losses)]))
        return behind > _BEHIND * spread


@dataclass
class Search:
    training: Training
    folds: Sequence[Fold]
    progress: Progress
    best: Best | None = None
    end: float = math.inf
    rows: list[dict[str, Any]] = field(default_factory=list)
    _prepared: dict[Any, tuple[Prepared, Prepared]] = field(default_factory=dict)

    def run(self) -> Best:
        """Raises nothing of its own: the first trial always runs to its end."""
        import optuna

        tuning, kinds = self.training.learning.tuning, self.training.learning.candidates
        self.end = time.monotonic() + (tuning.seconds or math.inf)
        study = _study(tuning.seed, len(kinds))
        for kind in kinds:
            study.enqueue_trial(_starts(kind, self.training.space(kind)))
        while len(self.rows) < tuning.trials and not self._late():
            trial = study.ask()
            value = self._trial(trial)
            state = optuna.trial.TrialState.PRUNED if value is None else None
            study.tell(trial, value, state=state)
        assert self.best is not None
        return self.best

    def frame(self) -> "pd.DataFrame":
        """One row a trial: candidate, params as JSON, value of the metric, state, seconds."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def _late(self) -> bool:
        if self.best is None:
            return False
        return time.monotonic() + _LAST_FIT * self.best.seconds > self.end

    def _trial(self, trial: "optuna.Trial") -> float | None:
        """The mean loss over the folds; None where the trial ended early."""
        kind = _kind(trial, self.training.learning.candidates)
        params = _suggested(trial, kind, self.training.space(kind))
        started, losses, predicted, rounds = time.monotonic(), [], [], []
        for number, fold in enumerate(self.folds):
            found, trees = self._fold(number, fold, kind, params)
            predicted.append(found)
            rounds.append(trees)
            losses.append(loss(self.training.task.metric, self.training.target[fold.valid], found))
            trial.report(float(np.mean(losses)), number)
            if self._late() or (self.best and self.best.leaves_behind(losses)):
                break
        took, finished = time.monotonic() - started, len(losses) == len(self.folds)
        value = float(np.mean(losses))
        if finished and (self.best is None or value < self.best.value):
            self.best = Best(kind, params, losses, predicted, rounds, took / len(losses))
        self._note(kind, params, value, finished, took)
        return value if finished else None

    def _fold(self, number: int, fold: Fold, kind: Kind, params: Params) -> tuple[Floats, int]:
        training = self.training
        train, valid = self._prepare(number, fold, kind, params)
        data = [
            Data(prepared, training.target[rows], training.weights(rows, params))
            for prepared, rows in ((train, fold.train), (valid, fold.valid))
        ]
        fitted = CANDIDATES[kind].fit(training.task, params, *data)
        return fitted.predict(valid), fitted.rounds

    def _prepare(
        self, number: int, fold: Fold, kind: Kind, params: Params
    ) -> tuple[Prepared, Prepared]:
        """Both parts of the fold prepared, kept for the next trial while there is room."""
        key = (number, self.training.recipe(kind, params))
        if key in self._prepared:
            return self._prepared[key]
        preparation, train = self.training.prepare(fold.train, kind, params)
        valid = {name: column[fold.valid] for name, column in self.training.columns.items()}
        found = train, preparation(valid)
        size = sum(one.nbytes for pair in self._prepared.values() for one in pair)
        if size + sum(one.nbytes for one in found) < _CACHED_BYTES:
            self._prepared[key] = found
        return found

    def _note(
        self, kind: Kind, params: Params, value: float, finished: bool, seconds: float
    ) -> None:
        metric = self.training.task.metric
        reached = shown(metric, value)
        state = "complete" if finished else "pruned"
        row = {"candidate": kind, "params": json.dumps(params), "value": reached, "state": state}
        self.rows.append({**row, "seconds": seconds})
        assert self.best is not None
        so_far = shown(metric, self.best.value)
        self.progress(
            f"trial {len(self.rows)}: {kind}, {metric} {reached:.4g}, "
            f"best {so_far:.4g} ({self.best.kind})"
        )


def _study(seed: int, starts: int) -> "optuna.Study":
    import warnings

    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, n_startup_trials=starts
        )
    return optuna.create_study(sampler=sampler)


def _starts(kind: Kind, space: Space) -> Params:
    return {"candidate": kind} | {f"{kind}.{name}": one.start for name, one in space.items()}


def _kind(trial: "optuna.Trial", kinds: Sequence[Kind]) -> Kind:
    chosen = trial.suggest_categorical("candidate", kinds)
    return next(kind for kind in kinds if kind == chosen)


def _suggested(trial: "optuna.Trial", kind: Kind, space: Space) -> Params:
    found: Params = {}
    for name, one in space.items():
        key = f"{kind}.{name}"
        if isinstance(one, Choice):
            found[name] = trial.suggest_categorical(key, one.options)
        elif one.whole:
            found[name] = trial.suggest_int(key, int(one.low), int(one.high), log=one.log)
        else:
            found[name] = trial.suggest_float(key, one.low, one.high, log=one.log)
    return found
