"""How well tabular models do, beside FLAML with the same time, from one run.

    python benchmarks/tabular.py [--data DIR] [--seconds 60] [--threads 2] [--only NAME...]
                                 [--json FILE]

DIR has food_delivery and vehicle_claim_fraud; what is not there is passed over. The third data set
is scikit-learn's Wisconsin diagnostic data. A fifth of the rows, drawn at random and with each
class's share kept, is the test set. Ours and FLAML choose by the same metric, in the same time,
with the same threads, on the same training rows. Beside them stand LightGBM as it is shipped, and
the baseline: the mean, or the base rate. `fit_s` is the time from the rows to the predictions: both
fit their choice again on all rows after the search. Intervals are bootstrap intervals at 95 %;
`gain` is what ours is better by than FLAML, on the same resamples of the test set.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from classic.tabular.columns import as_array
from classic.tabular.evaluate import evaluate
from classic.tabular.metrics import HIGHER_IS_BETTER, loss
from classic.tabular.model import Trained, train
from classic.tabular.settings import Learning, Metric, Problem, Tuning
from lifecycle.bootstrap import bootstrap
from lifecycle.tables import Column, TableSchema

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
RESAMPLES = 500
FLAML_METRICS = {"absolute_error": "mae", "average_precision": "ap", "log_loss": "log_loss"}
Figures = dict[str, Any]


@dataclass(frozen=True)
class Problems:
    """A data set: what is predicted, by which metric is chosen, and which are reported."""

    name: str
    frame: pd.DataFrame
    schema: TableSchema
    problem: Problem
    metric: Metric
    reported: tuple[str, ...]

    def parts(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        from sklearn.model_selection import train_test_split

        target = self.frame[self.schema.target]
        kept = None if self.problem == "regression" else target
        first, second = train_test_split(self.frame, test_size=0.2, random_state=0, stratify=kept)
        return first.sort_index(), second.sort_index()

    def target(self, frame: pd.DataFrame) -> Any:
        kind = np.float64 if self.problem == "regression" else np.int64
        return frame[self.schema.target].to_numpy(dtype=kind)

    def peers(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The features as other libraries take them: floats and pandas categories."""
        found = {}
        for name in self.schema.features:
            kind = self.schema.columns[name].type
            if kind == "category":
                values = sorted(self.frame[name].dropna().unique())
                found[name] = pd.Categorical(frame[name], categories=values)
            else:
                found[name] = as_array(frame[name], kind)
        return pd.DataFrame(found)


def food_delivery(data: Path) -> Problems:
    frame = pd.read_csv(data / "food_delivery" / "deliverytime.csv")
    schema = schema_of(frame, "Time_taken(min)", ("ID",))
    return Problems(
        "food_delivery", schema.coerce(frame), schema, "regression", "absolute_error",
        ("absolute_error", "absolute_error.p90"),
    )  # fmt: skip


def vehicle_claim_fraud(data: Path) -> Problems:
    frame = pd.read_csv(data / "vehicle_claim_fraud" / "fraud_oracle_clean.csv")
    schema = schema_of(frame, "FraudFound_P", ("PolicyNumber",))
    return Problems(
        "vehicle_claim_fraud", schema.coerce(frame), schema, "binary", "average_precision",
        ("average_precision", "roc_auc", "log_loss"),
    )  # fmt: skip


def wisconsin(data: Path) -> Problems:
    from sklearn.datasets import load_breast_cancer

    frame = load_breast_cancer(as_frame=True).frame
    schema = schema_of(frame, "target", ())
    return Problems(
        "wisconsin", schema.coerce(frame), schema, "binary", "log_loss",
        ("log_loss", "roc_auc", "average_precision"),
    )  # fmt: skip


SETS: tuple[Callable[[Path], Problems], ...] = (food_delivery, vehicle_claim_fraud, wisconsin)


def schema_of(frame: pd.DataFrame, target: str, ignored: tuple[str, ...]) -> TableSchema:
    columns = {}
    for name, values in frame.items():
        numeric = pd.api.types.is_numeric_dtype(values)
        role = "target" if name == target else ("ignored" if name in ignored else "feature")
        columns[str(name)] = Column(type="number" if numeric else "category", role=role)
    return TableSchema(columns=columns)


def compare(problem: Problems, seconds: float, threads: int) -> tuple[dict[str, Figures], Figures]:
    """Every system's figures on the test set, and what ours gains over FLAML."""
    first, test = problem.parts()
    target = problem.target(test)
    started = time.perf_counter()
    trained = ours(problem, first, seconds, threads)
    took = {"ours": time.perf_counter() - started}
    predicted = {"ours": scores_of(trained, test)}
    for name, peer in (("flaml", flaml), ("lightgbm", lightgbm), ("baseline", baseline)):
        started = time.perf_counter()
        predicted[name] = peer(problem, first, test, seconds, threads)
        took[name] = time.perf_counter() - started
    results = {
        name: {"fit_s": took[name]} | measure(problem, target, found)
        for name, found in predicted.items()
    }
    if problem.problem == "regression":
        scores, _ = evaluate(trained.model, trained.model.baseline, test)
        results["ours"]["coverage"] = float(scores["covered"].mean())
        results["ours"]["width"] = float(scores["width"].mean())
    results["ours"]["chosen"] = trained.model.kind
    results["ours"]["trials"] = int(trained.facts["trials"])
    return results, gains(problem, target, predicted["ours"], predicted["flaml"])


def ours(problem: Problems, first: pd.DataFrame, seconds: float, threads: int) -> Trained:
    tuning = Tuning(trials=100_000, seconds=seconds, metric=problem.metric)
    return train(first, problem.schema, problem.problem, Learning(tuning=tuning), threads)


def scores_of(trained: Trained, frame: pd.DataFrame) -> Any:
    found = trained.model.predict(frame)
    if trained.model.problem == "regression":
        return found["prediction"].to_numpy()
    return two(found["score"].to_numpy())


def flaml(
    problem: Problems, first: pd.DataFrame, test: pd.DataFrame, seconds: float, threads: int
) -> Any:
    from flaml import AutoML

    search = AutoML()
    search.fit(
        problem.peers(first),
        problem.target(first),
        task="regression" if problem.problem == "regression" else "classification",
        metric=FLAML_METRICS[problem.metric],
        time_budget=seconds,
        n_jobs=threads,
        seed=0,
        verbose=0,
    )
    print(f"flaml: {search.best_estimator} {search.best_config}", flush=True)
    if problem.problem == "regression":
        return search.predict(problem.peers(test))
    return search.predict_proba(problem.peers(test))


def lightgbm(
    problem: Problems, first: pd.DataFrame, test: pd.DataFrame, seconds: float, threads: int
) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMRegressor if problem.problem == "regression" else LGBMClassifier
    model = kind(n_jobs=threads, random_state=0, verbosity=-1)
    model.fit(problem.peers(first), problem.target(first))
    ask = model.predict if problem.problem == "regression" else model.predict_proba
    return np.asarray(ask(problem.peers(test)))


def baseline(
    problem: Problems, first: pd.DataFrame, test: pd.DataFrame, seconds: float, threads: int
) -> Any:
    mean = np.full(len(test), problem.target(first).mean())
    return mean if problem.problem == "regression" else two(mean)


def two(positive: Any) -> Any:
    return np.column_stack([1 - positive, positive])


def value_of(metric: str, target: Any, predicted: Any) -> float:
    if metric == "absolute_error.p90":
        return float(np.quantile(np.abs(target - predicted), 0.9))
    found = loss(metric, target, predicted)
    return -found if metric in HIGHER_IS_BETTER else found


def measure(problem: Problems, target: Any, predicted: Any) -> Figures:
    found: Figures = {}
    for metric in problem.reported:
        interval = bootstrap(
            len(target),
            lambda rows, metric=metric: value_of(metric, target[rows], predicted[rows]),
            resamples=RESAMPLES,
        )
        found[metric] = interval.to_dict()
    return found


def gains(problem: Problems, target: Any, mine: Any, other: Any) -> Figures:
    found: Figures = {}
    for metric in problem.reported:
        sign = 1 if metric in HIGHER_IS_BETTER else -1

        def gain(rows: Any, metric: str = metric, sign: int = sign) -> float:
            sides = [value_of(metric, target[rows], one[rows]) for one in (mine, other)]
            return sign * (sides[0] - sides[1])

        interval = bootstrap(len(target), gain, resamples=RESAMPLES)
        first, second = (value_of(metric, target, one) for one in (mine, other))
        found[metric] = {**interval.to_dict(), "ratio": first / second}
    return found


def table(results: dict[str, Figures], gained: Figures) -> str:
    names = [name for name in next(iter(results.values())) if name in gained]
    lines = [f"{'':10}{'fit_s':>8}" + "".join(f"{name:>32}" for name in names)]
    for system, figures in results.items():
        shown = "".join(f"{_interval(figures[name]):>32}" for name in names)
        lines.append(f"{system:10}{figures['fit_s']:8.1f}{shown}")
    lines.append(f"{'gain':18}" + "".join(f"{_interval(gained[name]):>32}" for name in names))
    lines.append(f"{'ratio':18}" + "".join(f"{gained[name]['ratio']:32.3f}" for name in names))
    own = {n: v for n, v in results["ours"].items() if n not in gained and n != "fit_s"}
    lines.append("ours: " + ", ".join(f"{name} {_plain(value)}" for name, value in own.items()))
    return "\n".join(lines)


def _interval(found: Figures) -> str:
    return f"{found['value']:.4g} ({found['low']:.4g} to {found['high']:.4g})"


def _plain(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    report: dict[str, Any] = {"seconds": given.seconds, "threads": given.threads}
    for opened in SETS:
        if given.only and opened.__name__ not in given.only:
            continue
        try:
            problem = opened(given.data)
        except FileNotFoundError as error:
            print(f"{opened.__name__}: passed over, there is no {error.filename}.")
            continue
        results, gained = compare(problem, given.seconds, given.threads)
        print(f"\n{problem.name}, by {problem.metric}\n{table(results, gained)}", flush=True)
        report[problem.name] = {"systems": results, "gain": gained}
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
