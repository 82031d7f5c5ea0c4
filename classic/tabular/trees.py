"""The trees of every tree model in one plain form of arrays, read from what the libraries store.

A row goes left where ``x <= threshold``, or where x is missing and ``missing_left`` holds. XGBoost
asks ``x < t`` of float32 numbers, which is ``x <= t'`` with t' the float32 number before t. Sums
and thresholds are float64, as LightGBM and scikit-learn have them; XGBoost's own sums are float32.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import ConfigError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_CATEGORICAL, _DEFAULT_LEFT, _MISSING = 1, 2, 3
"""LightGBM's ``decision_type``: two bits, then two bits that say what counts as missing."""
_ZERO, _NAN = 1, 2
_TINY = float(np.float32(1e-35))
"""What is no further from 0 is 0 to LightGBM."""


@dataclass(frozen=True)
class Tree:
    """The nodes of one tree, the root first; ``left`` and ``right`` are positions in these same
    arrays.

    ``feature`` (nodes,) is −1 at a leaf, where ``value`` counts.
    """

    feature: Integers
    threshold: Floats
    left: Integers
    right: Integers
    missing_left: NDArray[np.bool_]
    value: Floats


@dataclass(frozen=True)
class Trees(Tree):
    """All nodes of all trees.

    ``roots`` and ``targets`` (trees,) say where each tree starts and which of the sums it adds to;
    ``base`` (targets,) is what the sums start from.
    """

    roots: Integers
    targets: Integers
    base: Floats


def join(trees: list[Tree], targets: list[int], base: Floats) -> Trees:
    sizes = [len(tree.feature) for tree in trees]
    roots = np.cumsum([0, *sizes], dtype=np.int64)[:-1]
    moved = np.repeat(roots, sizes)

    def all_of(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(tree, name) for tree in trees])

    return Trees(
        feature=all_of("feature"),
        threshold=all_of("threshold"),
        left=all_of("left") + moved,
        right=all_of("right") + moved,
        missing_left=all_of("missing_left"),
        value=all_of("value"),
        roots=roots,
        targets=np.asarray(targets, dtype=np.int64),
        base=base,
    )


def read_lightgbm(text: str) -> Trees:
    """The trees of a model in LightGBM's text format. Raises ConfigError for what has no such form:
    categorical splits, zero as missing, linear leaves, averaged trees."""
    header, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
    if "\naverage_output" in header:
        raise _no_form("LightGBM", "boosting: rf")
    classes = int(_lines(header)["num_tree_per_iteration"])
    trees = [_lightgbm_tree(_lines(block)) for block in blocks]
    return join(trees, [place % classes for place in range(len(trees))], np.zeros(classes))


def _lines(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _lightgbm_tree(lines: dict[str, str]) -> Tree:
    if lines.get("is_linear", "0") != "0":
        raise _no_form("LightGBM", "linear_tree")
    leaves = np.array(lines["leaf_value"].split(), dtype=np.float64)
    if len(leaves) == 1:
        return leaf(leaves[0])
    feature, kinds, left, right = (
        np.array(lines[name].split(), dtype=np.int64)
        for name in ("split_feature", "decision_type", "left_child", "right_child")
    )
    threshold = np.array(lines["threshold"].split(), dtype=np.float64)
    missing = (kinds >> 2) & _MISSING
    if (kinds & _CATEGORICAL).any() or (missing == _ZERO).any():
        raise _no_form("LightGBM", "categorical_feature and zero_as_missing")
    splits, ends = len(feature), len(leaves)
    # A missing value is 0 where training saw none.
    to_left = np.where(missing == _NAN, (kinds & _DEFAULT_LEFT) > 0, threshold >= 0)
    return Tree(
        feature=np.concatenate([feature, np.full(ends, -1)]),
        threshold=np.concatenate([_beyond_tiny(threshold), np.zeros(ends)]),
        left=np.concatenate([np.where(left < 0, splits + ~left, left), np.zeros(ends, np.int64)]),
        right=np.concatenate(
            [np.where(right < 0, splits + ~right, right), np.zeros(ends, np.int64)]
        ),
        missing_left=np.concatenate([to_left, np.zeros(ends, bool)]),
        value=np.concatenate([np.zeros(splits), leaves]),
    )


def _beyond_tiny(threshold: Floats) -> Floats:
    """The same splits for numbers that are not rounded to 0 first."""
    negative = (threshold < 0) & (threshold >= -_TINY)
    moved = np.where(negative, np.nextafter(-_TINY, -np.inf), threshold)
    return np.where((threshold >= 0) & (threshold < _TINY), _TINY, moved)


def leaf(value: float) -> Tree:
    """A tree that says ``value`` whatever it is asked."""
    none, zero = np.zeros(1, np.int64), np.zeros(1)
    return Tree(none - 1, zero, none, none, np.zeros(1, bool), zero + value)


def split(feature: int, threshold: float, left: Tree, right: Tree) -> Tree:
    """A tree of two: the left one where ``feature`` is at most ``threshold``."""
    head = replace(leaf(0.0), feature=np.array([feature]), threshold=np.array([threshold]))
    both = join([head, left, right], [0, 0, 0], np.zeros(1))
    both.left[0], both.right[0] = 1, 1 + len(left.feature)
    return Tree(both.feature, both.threshold, both.left, both.right, both.missing_left, both.value)


def intervals(edges: Floats) -> Tree:
    """A tree whose value for x is the number of ``edges``, which ascend, that lie below x."""

    def over(first: int, last: int) -> Tree:
        if first == last:
            return leaf(float(first))
        middle = (first + last) // 2
        return split(0, float(edges[middle]), over(first, middle), over(middle + 1, last))

    return over(0, len(edges))


def read_xgboost(booster: Any) -> Trees:
    """The trees of an XGBoost booster, of all its rounds. Raises ConfigError for what has no such
    form: categorical splits, linear boosters, dropped trees, trees with several outputs."""
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    boosted = learner["gradient_booster"]
    if boosted["name"] != "gbtree":
        raise _no_form("XGBoost", f"booster: {boosted['name']}")
    trees = [_xgboost_tree(tree) for tree in boosted["model"]["trees"]]
    return join(trees, boosted["model"]["tree_info"], _xgboost_base(learner))


def _xgboost_base(learner: dict[str, Any]) -> Floats:
    """``base_score`` is stored as a prediction; the sums start from what its link makes of that."""
    known = learner["learner_model_param"]
    base = np.atleast_1d(np.array(json.loads(known["base_score"]), dtype=np.float64))
    if learner["objective"]["name"].endswith(":logistic"):
        base = np.log(base / (1 - base))
    targets = max(1, int(known["num_class"]), int(known["num_target"]))
    return np.broadcast_to(base, targets).copy()


def _xgboost_tree(tree: dict[str, Any]) -> Tree:
    if any(tree["split_type"]) or int(tree["tree_param"]["size_leaf_vector"]) > 1:
        raise _no_form("XGBoost", "enable_categorical and multi_strategy")
    left, right = (np.array(tree[f"{side}_children"], dtype=np.int64) for side in ("left", "right"))
    stored = np.array(tree["split_conditions"], dtype=np.float32)
    end = left < 0
    return Tree(
        feature=np.where(end, -1, np.array(tree["split_indices"], dtype=np.int64)),
        threshold=np.nextafter(stored, np.float32(-np.inf)).astype(np.float64),
        left=np.where(end, 0, left),
        right=np.where(end, 0, right),
        missing_left=np.array(tree["default_left"], dtype=bool),
        value=np.where(end, stored, 0).astype(np.float64),
    )


def read_histogram(estimator: Any) -> Trees:
    """The trees of a fitted HistGradientBoostingClassifier or -Regressor."""
    rounds = estimator._predictors
    trees = [_histogram_tree(one.nodes) for one_round in rounds for one in one_round]
    base = np.ravel(estimator._baseline_prediction).astype(np.float64)
    return join(trees, list(range(len(base))) * len(rounds), base)


def _histogram_tree(nodes: NDArray[Any]) -> Tree:
    if nodes["is_categorical"].any():
        raise _no_form("HistGradientBoosting", "categorical_features")
    end = nodes["is_leaf"].astype(bool)
    return Tree(
        feature=np.where(end, -1, nodes["feature_idx"]).astype(np.int64),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=np.where(end, 0, nodes["left"]).astype(np.int64),
        right=np.where(end, 0, nodes["right"]).astype(np.int64),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=np.where(end, nodes["value"], 0.0),
    )


def read_forest(estimator: Any) -> Trees:
    """The trees of a fitted random forest, whose sums are to be divided by their number: of the
    second class for two classes, else a copy of every tree for each class."""
    trees: list[Tree] = []
    targets: list[int] = []
    for fitted in estimator.estimators_:
        for target, tree in enumerate(_forest_trees(fitted.tree_)):
            trees.append(tree)
            targets.append(target)
    return join(trees, targets, np.zeros(max(targets) + 1))


def _forest_trees(tree: Any) -> Iterator[Tree]:
    end = tree.children_left < 0
    values = tree.value[:, 0, :]
    for column in range(values.shape[1])[1 if values.shape[1] == 2 else 0 :]:
        yield Tree(
            feature=np.where(end, -1, tree.feature),
            threshold=tree.threshold,
            left=np.where(end, 0, tree.children_left),
            right=np.where(end, 0, tree.children_right),
            missing_left=tree.missing_go_to_left.astype(bool),
            value=np.where(end, values[:, column], 0.0),
        )


def _no_form(library: str, what: str) -> ConfigError:
    return ConfigError(
        f"A {library} model with {what} cannot be written as plain trees.",
        "Leave that parameter out, or the export to ONNX.",
    )
