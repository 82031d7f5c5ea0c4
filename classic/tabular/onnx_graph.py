"""A graph of ONNX operators, written one call after the other."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classic.tabular.trees import Tree, Trees, join, split

IR_VERSION = 10
OPSETS = {"": 21, "ai.onnx.ml": 5}
"""What ONNX Runtime 1.20 and later reads."""

_SUM, _LEFT_IF_AT_MOST = 1, 0


class Graph:
    """Values go by name; ``op`` gives the name of what it makes."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any, dtype: Any = np.float64) -> str:
        from onnx import numpy_helper

        array: NDArray[Any] = np.ascontiguousarray(np.asarray(values, dtype=dtype))
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self._node("", kind, inputs, attributes)

    def ml(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """One of the operators for classic machine learning, ai.onnx.ml."""
        return self._node("ai.onnx.ml", kind, inputs, attributes)

    def _node(
        self, domain: str, kind: str, inputs: tuple[str, ...], attributes: dict[str, Any]
    ) -> str:
        from onnx import helper

        name = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], domain=domain, **attributes))
        return name

    def cast(self, value: str, dtype: Any) -> str:
        from onnx import helper

        return self.op("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def columns(self, value: str, places: Sequence[int], width: int) -> str:
        """Columns (n, places) of a value (n, width)."""
        if list(places) == list(range(width)):
            return value
        return self.op("Gather", value, self.constant(places, np.int64), axis=1)

    def name(self, value: str, name: str) -> None:
        """Make ``value`` an output of the graph by another name."""
        self.nodes.append(_named(value, name))

    def trees(self, features: str, trees: Trees) -> str:
        """The sums (n, targets) of ``trees``, all in float64, of ``features`` (n, m) float64."""
        summed = self.ml("TreeEnsemble", features, **_attributes(trees))
        return self.op("Add", summed, self.constant(trees.base)) if trees.base.any() else summed

    def model(
        self, inputs: Mapping[str, tuple[int, int]], outputs: dict[str, int], facts: dict[str, str]
    ) -> Any:
        """``inputs``: type and width of each; ``outputs``: the width of each, all float64."""
        from onnx import TensorProto, helper

        def described(name: str, kind: int, width: int) -> Any:
            return helper.make_tensor_value_info(name, kind, ["rows", width])

        graph = helper.make_graph(
            self.nodes,
            "tabular",
            [described(name, *known) for name, known in inputs.items()],
            [described(name, TensorProto.DOUBLE, width) for name, width in outputs.items()],
            self.constants,
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        helper.set_model_props(model, facts)
        return model


def _attributes(trees: Trees) -> dict[str, Any]:
    """``trees`` as TreeEnsemble has them: splits and leaves numbered apart, a root is a split."""
    from onnx import numpy_helper

    grown = _without_bare_leaves(trees)
    end = grown.feature < 0
    inner = ~end
    place = np.where(end, np.cumsum(end), np.cumsum(inner)) - 1
    targets = np.repeat(grown.targets, np.diff([*grown.roots, len(end)]))
    tensor = numpy_helper.from_array
    return {
        "n_targets": len(grown.base),
        "aggregate_function": _SUM,
        "post_transform": 0,
        "tree_roots": place[grown.roots].tolist(),
        "nodes_featureids": grown.feature[inner].tolist(),
        "nodes_modes": tensor(np.full(inner.sum(), _LEFT_IF_AT_MOST, dtype=np.uint8)),
        "nodes_splits": tensor(grown.threshold[inner]),
        "nodes_truenodeids": place[grown.left[inner]].tolist(),
        "nodes_trueleafs": end[grown.left[inner]].astype(int).tolist(),
        "nodes_falsenodeids": place[grown.right[inner]].tolist(),
        "nodes_falseleafs": end[grown.right[inner]].astype(int).tolist(),
        "nodes_missing_value_tracks_true": grown.missing_left[inner].astype(int).tolist(),
        "leaf_targetids": targets[end].tolist(),
        "leaf_weights": tensor(grown.value[end]),
    }


def _without_bare_leaves(trees: Trees) -> Trees:
    """A tree that is one leaf becomes a split with that leaf on both sides."""
    parts, ends = [], [*trees.roots[1:], len(trees.feature)]
    if not (trees.feature[trees.roots] < 0).any():
        return trees
    for start, end in zip(trees.roots, ends, strict=True):
        one = slice(start, end)
        tree = Tree(
            trees.feature[one],
            trees.threshold[one],
            trees.left[one] - start,
            trees.right[one] - start,
            trees.missing_left[one],
            trees.value[one],
        )
        parts.append(split(0, 0.0, tree, tree) if tree.feature[0] < 0 else tree)
    return join(parts, trees.targets.tolist(), trees.base)


def _named(value: str, name: str) -> Any:
    from onnx import helper

    return helper.make_node("Identity", [value], [name])
