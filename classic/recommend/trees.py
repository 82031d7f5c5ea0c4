"""Boosted trees that were fitted by LightGBM, evaluated here: many times as fast for a batch.

A tree of at most 32 leaves is a word of bits, one for each leaf from left to right. Every node
whose test fails clears the bits of the leaves on its left; the lowest bit that stays is the leaf.
So nodes can be taken in any order, and candidates side by side (Lucchese et al., QuickScorer,
SIGIR 2015).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from classic.recommend.arrays import AGAIN
from classic.recommend.histories import Scores
from classic.recommend.kernels import compiled
from lifecycle.errors import BundleError

LEAVES = 32
_ALL = np.uint32(0xFFFFFFFF)
_MANY = 1024
"""Rows from which on the compiled loops are used."""


class Trees:
    """``text``: LightGBM's own, of numerical features without missing values.

    Node j tests ``features[j]`` <= ``thresholds[j]`` and clears ``masks[j]``; the nodes of tree t
    are ``starts[t]`` to ``starts[t + 1]``; ``leaves`` (trees, 32): values from left to right.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        trees = [_parsed(one) for one in text.split("\nTree=")[1:]]
        nodes = [one for tests, _ in trees for one in tests]
        self.features = np.array([feature for feature, _, _ in nodes], dtype=np.int32)
        self.thresholds = np.array([threshold for _, threshold, _ in nodes], dtype=np.float32)
        self.masks = np.array([mask for _, _, mask in nodes], dtype=np.uint32)
        self.starts = np.concatenate([[0], np.cumsum([len(tests) for tests, _ in trees])])
        self.leaves = np.zeros((len(trees), LEAVES), dtype=np.float32)
        for number, (_, values) in enumerate(trees):
            self.leaves[number, : len(values)] = values

    @classmethod
    def read(cls, path: Path) -> "Trees":
        """Raises BundleError where the file is no text of trees."""
        try:
            return cls(path.read_text("utf-8"))
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise BundleError(f"{path} holds no trees: {error}.", AGAIN) from error

    def predict(self, features: Scores) -> Scores:
        """(n,) of ``features`` (n, features), float32; as LightGBM's up to rounding."""
        if len(features) < _MANY:
            return self._few(features)
        out = np.zeros(len(features), dtype=np.float32)
        compiled().trees(
            np.ascontiguousarray(features.T),
            (self.features, self.thresholds, self.masks, self.starts),
            self.leaves,
            out,
        )
        return out

    def _few(self, features: Scores) -> Scores:
        """With NumPy, all nodes at once."""
        failed = features.T[self.features] > self.thresholds[:, None]
        kept = np.where(failed, ~self.masks[:, None], _ALL)
        bits = np.bitwise_and.reduceat(kept, self.starts[:-1], axis=0)
        lowest = np.frexp((bits & -bits).astype(np.float64))[1] - 1
        summed: Scores = np.take_along_axis(self.leaves, lowest, axis=1).sum(axis=0)
        return summed


def _parsed(text: str) -> tuple[list[tuple[int, float, int]], list[float]]:
    """The tests of a tree (feature, threshold, leaves on its left as bits), and its leaves' values
    from left to right."""
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    values = [float(one) for one in fields["leaf_value"].split()]
    if len(values) > LEAVES:
        raise ValueError(f"a tree has {len(values)} leaves, more than {LEAVES}")
    if len(values) == 1:
        return [(0, np.inf, 0)], values
    features = [int(one) for one in fields["split_feature"].split()]
    thresholds = [_below(float(one)) for one in fields["threshold"].split()]
    children = [[int(one) for one in fields[f"{side}_child"].split()] for side in ("left", "right")]
    order = _order(*children)
    masks = [_bits(children, order, children[0][node]) for node in range(len(features))]
    places = sorted(order, key=lambda leaf: order[leaf])
    tests = list(zip(features, thresholds, masks, strict=True))
    return tests, [values[leaf] for leaf in places]


def _order(left: Sequence[int], right: Sequence[int]) -> dict[int, int]:
    """The place of each leaf from left to right; child −1 − n is leaf n."""
    order: dict[int, int] = {}
    ahead = [0]
    while ahead:
        node = ahead.pop()
        if node < 0:
            order[~node] = len(order)
        else:
            ahead += [right[node], left[node]]
    return order


def _bits(children: Sequence[Sequence[int]], order: dict[int, int], node: int) -> int:
    """The leaves under ``node`` as bits."""
    if node < 0:
        return 1 << order[~node]
    return _bits(children, order, children[0][node]) | _bits(children, order, children[1][node])


def _below(threshold: float) -> float:
    """The largest float32 that is no larger: a float32 passes this test if it passes that one."""
    near = np.float32(threshold)
    return float(near if near <= threshold else np.nextafter(near, np.float32(-np.inf)))
