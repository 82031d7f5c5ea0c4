"""From a bundle to scores on the users of its holdout, beside the rules on the same users."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classic.recommend.config import Measuring
from classic.recommend.evaluate import evaluate
from classic.recommend.holdout import EVENTS, FILMS, TABLES, USERS, Asked, Holdout, read
from classic.recommend.recommender import Recommender
from classic.recommend.settings import Settings
from classic.recommend.stages.train import MODEL
from lifecycle import bundle as bundles
from lifecycle.atomic import write_bytes, write_text
from lifecycle.bundle import link_or_copy
from lifecycle.candidates import EVALUATION, SCORES
from lifecycle.evaluation import evaluate_scores
from lifecycle.fingerprint import fingerprint
from lifecycle.hashing import sha256

if TYPE_CHECKING:
    import pandas as pd

OF_BASELINES = ("ndcg@10", "hr@10", "recall@10", "recall@20", "mrr")
SEGMENTS = ("activity", "known")
ASKED = "asked.json"
_TIMED = 200


def evaluate_bundle(bundle: Path, parts: Path, settings: Measuring, out: Path) -> str:
    """Measure the bundle on the holdout in ``parts``; scores, evaluation and what the holdout is
    go to ``out``. A sentence about it."""
    for name in (EVENTS, FILMS, USERS, TABLES):
        link_or_copy(parts / name, out / name)
    write_text(out / ASKED, json.dumps(settings.segments))
    holdout, opened = read(out), bundles.open_bundle(bundle)
    recommender = Recommender.load(opened.path / MODEL)
    scores, facts = _scores(recommender, holdout, settings.segments)
    for name, other in _baselines(settings.baselines, holdout, scores).items():
        scores[name] = other
    facts |= _latency(recommender, holdout)
    metrics = [name for name in scores.columns if scores[name].dtype.kind == "f"]
    segments = [*SEGMENTS, *settings.segments]
    evaluation = evaluate_scores(scores, metrics, segments, _holdout_id(out), facts)
    scores.to_parquet(out / SCORES)
    write_text(out / EVALUATION, json.dumps(evaluation.to_dict(), indent=1))
    ndcg = evaluation.metrics["ndcg@10"]
    return f"{len(scores):,} users, nDCG@10 {ndcg.value:.3f} ({ndcg.low:.3f} to {ndcg.high:.3f})"


def score_bundle(bundle: Path, evaluated: Path, cache: Path) -> "pd.DataFrame":
    """Scores of another bundle on the holdout in ``evaluated``, computed once for each pair."""
    import pandas as pd

    opened = bundles.open_bundle(bundle)
    code = fingerprint(["classic.recommend.evaluate", "classic.recommend.holdout"])
    key = f"{opened.manifest.bundle_id}-{_holdout_id(evaluated)}-{code}"
    path = cache / "scores" / f"{key}.parquet"
    if path.is_file():
        return pd.read_parquet(path)
    segments = json.loads((evaluated / ASKED).read_text("utf-8"))
    scores, _ = _scores(Recommender.load(opened.path / MODEL), read(evaluated), segments)
    write_bytes(path, scores.to_parquet())
    return scores


def _scores(
    recommender: Recommender, holdout: Holdout, segments: list[str]
) -> tuple["pd.DataFrame", dict[str, float]]:
    asked = Asked(recommender, holdout.train)
    return evaluate(asked, asked.renumbered(holdout.test), holdout.segments(segments))


def _baselines(
    rules: Mapping[str, Settings], holdout: Holdout, scores: "pd.DataFrame"
) -> dict[str, "pd.Series[float]"]:
    """Column ``<rule>.<metric>`` for each rule, fitted on what the model was fitted on."""
    found: dict[str, pd.Series[float]] = {}
    for name, chosen in rules.items():
        rule = Recommender(chosen, chosen).fit(holdout.train, holdout.catalogue)
        theirs, _ = _scores(rule, holdout, [])
        aligned = theirs.reindex(scores.index)
        found |= {f"{name}.{metric}": aligned[metric] for metric in OF_BASELINES}
    return found


def _latency(recommender: Recommender, holdout: Holdout) -> dict[str, float]:
    """Milliseconds for ten films for one user, and users a second when all are asked at once."""
    users = np.arange(len(recommender.user_ids))
    some = np.random.default_rng(0).choice(users, min(_TIMED, len(users)), replace=False)
    recommender.recommend(some[:1])
    spent = []
    for user in some:
        started = time.perf_counter()
        recommender.recommend([user])
        spent.append((time.perf_counter() - started) * 1_000)
    recommender.recommend(users)
    started = time.perf_counter()
    recommender.recommend(users)
    whole = time.perf_counter() - started
    return {
        "latency.one_user_p50_ms": float(np.median(spent)),
        "latency.one_user_p95_ms": float(np.quantile(spent, 0.95)),
        "users_per_second": len(users) / whole,
    }


def _holdout_id(folder: Path) -> str:
    return "".join(sha256(folder / name)[:8] for name in (EVENTS, USERS))
