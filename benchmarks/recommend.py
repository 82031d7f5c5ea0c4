"""How well and how fast recommenders do, beside what else one would use, from one run.

    python benchmarks/recommend.py DIR... [--json FILE]

Each DIR is MovieLens in any layout (u.data, ratings.dat, ratings.csv, RecBole's .inter), of which
the last event of every user is asked, or has train.txt and test.txt: one user a line, the user's
id and then items' ids. The ranking is over all items that the user had nothing to do with.

Ours and the peers are tuned alike on a part of train (the last event of each user, or a random
fifth): each setting in turn, twice, takes its best value of a grid, which stands in
classic/recommend/tune.py for ours and in benchmarks/recommend_peers.py for the peers. Peers with
-default are as their authors ship them. `ours` is whichever of our models did best there. Fitting
is timed once with the chosen settings; p50_ms is the first ten items for one user, users_per_s for
all users in one batch, both after one call that is not timed.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.interaction_files import Collection
from benchmarks.recommend_peers import GRIDS as PEER_GRIDS
from benchmarks.recommend_peers import STARTS, opened
from classic.recommend.evaluate import evaluate
from classic.recommend.interactions import Interactions
from classic.recommend.recommender import Recommender
from classic.recommend.settings import (
    Als,
    Ease,
    ItemKnn,
    LowPass,
    Markov,
    Popular,
    Settings,
    TwoStage,
)
from classic.recommend.splits import leave_last_out, random_share
from classic.recommend.threads import cores, limited
from classic.recommend.tune import GRIDS, ROUNDS, tune, tune_blend

Figures = dict[str, float]
METRICS = ("hr@10", "ndcg@10", "ndcg@20", "recall@20", "mrr", "novelty@10")
ASKED = 200
EASE_START = Ease(dropout=0.3, item_power=0.3, user_power=0.5, popularity_power=0.1)


def ours(collection: Collection) -> dict[str, tuple[Settings, float]]:
    """Our models with their chosen settings, and what these reach on the validation set."""
    train, valid, metric = carved(collection)
    starts: list[Any] = [EASE_START, ItemKnn(), Als(regularisation=10.0), LowPass()]
    starts += [Markov()] if collection.timed else []
    found = {one.kind: tune(one, GRIDS[one.kind], train, valid, metric) for one in starts}
    simple = {name: settings for name, (settings, _) in found.items()}
    order = sorted(found, key=lambda name: -found[name][1])
    members: list[Any] = [simple[name] for name in order if name != "item_knn"]
    found["blend"] = tune_blend(members, train, valid, metric)
    if collection.timed:
        staged = TwoStage(members=(simple["markov"], simple["low_pass"]))
        found["two_stage"] = tune(staged, {}, train, valid, metric)
    return found


def peers(collection: Collection) -> dict[str, Any]:
    """The peers' settings: as shipped, and the best on the validation set."""
    train, valid, metric = carved(collection)
    found: dict[str, Any] = {}
    for name, grid in PEER_GRIDS.items():
        found[f"{name}-default"] = (name, {})
        chosen = dict(STARTS.get(name, {}))
        best = _peer_metric(name, chosen, train, valid, metric)
        known = [chosen]
        for key, values in [*grid.items()] * ROUNDS:
            for tried in [chosen | {key: value} for value in values]:
                if tried in known:
                    continue
                known.append(tried)
                reached = _peer_metric(name, tried, train, valid, metric)
                if reached > best:
                    chosen, best = tried, reached
        found[name] = (name, chosen)
    return found


def carved(collection: Collection) -> tuple[Interactions, Interactions, str]:
    """Train and validation set, both of train, and the metric to choose by."""
    if collection.timed:
        return (*leave_last_out(collection.train), "ndcg@10")
    return (*random_share(collection.train, 0.2), "recall@20")


def compare(folder: Path) -> dict[str, Figures]:
    """Every system's figures on the test set of the collection in ``folder``."""
    collection = Collection.read(folder)
    chosen = ours(collection)
    results = {"popular": measure(Recommender(Popular()), collection)}
    for name, (settings, reached) in chosen.items():
        print(f"{name}: {reached:.4f} on validation with {settings}", flush=True)
        results[f"ours-{name}"] = measure(Recommender(settings), collection)
    best = max(chosen, key=lambda name: chosen[name][1])
    results["ours"] = results[f"ours-{best}"]
    for label, (name, options) in peers(collection).items():
        print(f"{label}: {options}", flush=True)
        results[label] = measure(as_peer(name, options), collection)
    return results


def measure(recommender: Recommender, collection: Collection) -> Figures:
    start = time.perf_counter()
    recommender.fit(collection.train)
    fitted = time.perf_counter() - start
    scores, facts = evaluate(recommender, collection.test)
    figures = {name: float(scores[name].mean()) for name in METRICS}
    figures["coverage@10"] = facts["coverage@10"]
    ask: Callable[[Any], Any] = getattr(recommender.scorer, "recommend", recommender.recommend)
    return figures | {"fit_s": fitted} | _speed(ask, len(collection.train.user_ids))


def as_peer(name: str, options: dict[str, Any]) -> Recommender:
    """A peer behind our interface, so that one and the same code measures all."""
    recommender = Recommender(Popular())
    recommender.scorer = opened(name, options)
    return recommender


def table(results: dict[str, Figures]) -> str:
    names = list(next(iter(results.values())))
    lines = [f"{'':22}" + "".join(f"{name:>13}" for name in names)]
    for system, figures in results.items():
        lines.append(f"{system:22}" + "".join(f"{figures[name]:13.4g}" for name in names))
    return "\n".join(lines)


def _peer_metric(
    name: str, options: dict[str, Any], train: Interactions, valid: Interactions, metric: str
) -> float:
    scores, _ = evaluate(as_peer(name, options).fit(train), valid)
    return float(scores[metric].mean())


def _speed(ask: Callable[[Any], Any], users: int) -> Figures:
    everybody = np.arange(users)
    ask(everybody)
    start = time.perf_counter()
    ask(everybody)
    took = time.perf_counter() - start
    times = []
    for user in everybody[:ASKED]:
        start = time.perf_counter()
        ask(np.array([user]))
        times.append((time.perf_counter() - start) * 1000)
    return {"p50_ms": float(np.median(times[1:])), "users_per_s": users / took}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    collections: dict[str, dict[str, Figures]] = {}
    for folder in given.folders:
        with limited(cores()):
            results = compare(folder)
        print(f"\n{folder.name}\n{table(results)}", flush=True)
        collections[folder.name] = results
    if given.json:
        given.json.write_text(json.dumps(collections, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
