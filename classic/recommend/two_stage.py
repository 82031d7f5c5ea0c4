"""Two stages: several models propose items, and trees that know more of them order the proposals.

Covington, Adams and Sargin, Deep neural networks for YouTube recommendations, RecSys 2016, has the
two stages; the second is LambdaMART (Burges, From RankNet to LambdaRank to LambdaMART, Microsoft
Research MSR-TR-2010-82) as LightGBM has it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from classic.recommend import settings
from classic.recommend.blend import load_members, save_members, standardised
from classic.recommend.features import Features, stage_features, united
from classic.recommend.histories import Histories, Numbers, Scores
from classic.recommend.interactions import Interactions
from classic.recommend.reasons import contributed
from classic.recommend.scorer import Catalogue, Scorer
from classic.recommend.splits import leave_last_out
from classic.recommend.threads import cores, limited
from classic.recommend.topk import top_k
from classic.recommend.trees import Trees

_BEHIND = np.float32(1e4)
"""How far what is no candidate stands behind the candidates: far more than trees give."""
_MANY = 1_000_000
"""Examples from which on threads are worth waiting for."""


class TwoStage:
    """The trees learn from the last ``steps`` events of every history, proposed by models that have
    not seen them; then the models are fitted again, on everything."""

    def __init__(
        self, chosen: settings.TwoStage, opened: Callable[[settings.Simple], Scorer]
    ) -> None:
        self.settings = chosen
        self.members = [opened(one) for one in chosen.members]
        self.features = Features()
        self.trees: Trees | None = None

    def fit(self, interactions: Interactions, catalogue: Catalogue) -> None:
        before, _ = leave_last_out(interactions, self.settings.steps)
        self._fit_members(before, catalogue)
        self.trees = self._fit_trees(Histories.of(interactions))
        self._fit_members(interactions, catalogue)

    def scores(self, histories: Histories) -> Scores:
        """The trees' for candidates; all other items follow, as the first model has them."""
        picked, features, out = self._propose(histories)
        out -= _BEHIND
        if self.trees is not None and len(features):
            out[picked] = self.trees.predict(features)
        return out

    def contributions(self, history: Histories, items: Numbers) -> Scores:
        """(events, items): the members', each divided by its largest and added up."""
        return contributed(self.members, [1.0] * len(self.members), history, items)

    def save(self, folder: Path) -> None:
        save_members(self.members, folder)
        self.features.save(folder)
        if self.trees is not None:
            (folder / "trees.txt").write_text(self.trees.text, "utf-8")

    def load(self, folder: Path) -> None:
        load_members(self.members, folder)
        self.features.load(folder)
        if (folder / "trees.txt").exists():
            self.trees = Trees.read(folder / "trees.txt")

    def _fit_members(self, interactions: Interactions, catalogue: Catalogue) -> None:
        for member in self.members:
            member.fit(interactions, catalogue)
        self.features.fit(interactions, catalogue)

    def _fit_trees(self, histories: Histories) -> Trees | None:
        """None where no history is long enough or no next event was ever proposed."""
        import lightgbm

        with limited(1):
            parts = [self._examples(histories, age) for age in range(self.settings.steps)]
        features, labels, sizes = (np.concatenate(one) for one in zip(*parts, strict=True))
        if not labels.any():
            return None
        data = lightgbm.Dataset(features, labels, group=sizes)
        parameters = self._parameters(_threads(len(labels)))
        return Trees(lightgbm.train(parameters, data, self.settings.trees).model_to_string())

    def _examples(self, histories: Histories, age: int) -> tuple[Scores, Scores, Numbers]:
        """Candidates for the event with ``age`` events after it: features, whether it is the event,
        and how many belong to each history. Histories that did not get it proposed are left out;
        of the wrong candidates about ``negatives`` are drawn for each."""
        long = histories.take(np.flatnonzero(histories.lengths > self.settings.steps))
        targets = long.items[long.ages == age]
        (rows, items), features, _ = self._propose(long.without_last(age + 1))
        labels = items == targets[rows]
        found = np.bincount(rows, labels, minlength=len(long)) > 0
        counts = np.bincount(rows, minlength=len(long))
        drawn = np.random.default_rng(age).random(len(rows)) * counts[rows]
        kept = found[rows] & (labels | (drawn < self.settings.negatives))
        sizes = np.bincount(rows[kept], minlength=len(long))[found]
        return features[kept], labels[kept].astype(np.float32), sizes.astype(np.int32)

    def _propose(self, histories: Histories) -> tuple[Any, Scores, Scores]:
        """Rows and items of the candidates, in order of rows; their features; the first model's
        scores of everything, standardised."""
        scores = [member.scores(histories) for member in self.members]
        first = standardised(scores[0].copy())
        places = []
        for values in scores:
            values[histories.rows, histories.items] = -np.inf
            places.append(top_k(values, self.settings.candidates)[0])
        picked, ranks = united(np.stack(places), first.shape[1])
        stages = stage_features(scores, places, picked, ranks)
        return picked, self.features.of(histories, *picked, stages), first

    def _parameters(self, threads: int) -> dict[str, Any]:
        chosen = self.settings
        return {
            "objective": "lambdarank",
            "num_leaves": chosen.leaves,
            "learning_rate": chosen.learning_rate,
            "lambdarank_truncation_level": 20,
            "min_data_in_leaf": 50,
            "feature_fraction": 0.7,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "seed": chosen.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": threads,
            "verbosity": -1,
        }


def _threads(examples: int) -> int:
    return cores() if examples > _MANY else 1
