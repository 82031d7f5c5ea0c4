"""Learns a preparation from training rows; scikit-learn's imputer, scaler and encoders do it.

Linear models get no missing numbers, an indicator of them, and scaled features. Trees get missing
numbers as they are where training had some, else the median. Target encodings are cross-fitted
(Micci-Barreca, A preprocessing scheme for high-cardinality categorical attributes, SIGKDD
Explorations 2001, as scikit-learn's TargetEncoder has it): the rows that it learns from are encoded
by what the other folds became.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from classic.tabular.columns import PARTS, Columns, Floats, time_part
from classic.tabular.preparation import Feature, Making, Preparation, Prepared, find, index_of
from lifecycle.tables import TableSchema

Categories = Literal["one_hot", "code", "target"]
_FOLDS = 5


@dataclass(frozen=True)
class Recipe:
    """What to learn: ``scaled`` for linear models; how categories become numbers."""

    scaled: bool
    categories: Categories
    min_category_count: int = 10
    max_one_hot: int = 30


def fit_preparation(
    columns: Columns, schema: TableSchema, target: NDArray[Any], recipe: Recipe, seed: int = 0
) -> tuple[Preparation, Prepared]:
    """The preparation and what it makes of the rows it is learnt from (cross-fitted: not what the
    preparation itself makes of them). ``target`` (rows,): a number, or the number of a class."""
    values: dict[str, tuple[str, ...]] = {}
    features: list[Feature] = []
    crossed: dict[int, Floats] = {}
    for name in columns:
        kind = schema.columns[name].type
        if kind == "category":
            values[name] = known_values(columns[name], recipe.min_category_count)
            places = find(index_of(values[name]), len(values[name]), columns[name])
            made, encoded = _category(name, places, len(values[name]), target, recipe, seed)
            crossed.update({len(features) + n: column for n, column in encoded.items()})
            features += made
        elif kind == "time":
            features += [_part(name, columns[name], part, recipe) for part in PARTS]
        else:
            features += _number(name, columns[name], recipe)
    if recipe.scaled:
        features = [_scaled(one, columns, values, crossed.get(n)) for n, one in enumerate(features)]
    preparation = Preparation(tuple(columns), values, tuple(features))
    prepared = preparation(columns)
    for number, column in crossed.items():
        mean, scale = _affine(column) if recipe.scaled else (0.0, 1.0)
        prepared[:, number] = (column - mean) / scale
    return preparation, prepared


def known_values(given: NDArray[Any], least: int) -> tuple[str, ...]:
    """Values, in order, that stand in at least ``least`` rows (if none does: the commonest)."""
    values, counts = np.unique(given[given != ""].astype(str), return_counts=True)
    if not len(values):
        return ()
    common = values[counts >= min(least, counts.max())]
    return tuple(str(value) for value in common)


def _number(name: str, given: Floats, recipe: Recipe) -> list[Feature]:
    from sklearn.impute import SimpleImputer

    gaps = bool(np.isnan(given).any())
    if gaps and not recipe.scaled:
        return [Feature(name, name, "number")]
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    fill = float(imputer.fit(given.reshape(-1, 1)).statistics_[0])
    filled = Feature(name, name, "number", fill=fill)
    indicator = [Feature(f"{name} is missing", name, "missing")] if gaps else []
    return [filled, *indicator]


def _part(name: str, seconds: Floats, part: str, recipe: Recipe) -> Feature:
    known = seconds[~np.isnan(seconds)]
    origin = float(known.min(initial=np.inf)) if len(known) else 0.0
    fill = float("nan")
    if recipe.scaled or len(known) == len(seconds):
        fill = float(np.median(time_part(known, part, origin))) if len(known) else 0.0
    return Feature(f"{name} {part}", name, "time", fill=fill, part=part, origin=origin)


def _category(
    name: str, places: NDArray[np.int64], known: int, target: Any, recipe: Recipe, seed: int
) -> tuple[list[Feature], dict[int, Floats]]:
    """The features of one category, and the cross-fitted values of those that have such."""
    if known > recipe.max_one_hot or recipe.categories == "target":
        return _target(name, places, known, target, seed)
    if recipe.categories == "code":
        codes = (*(float(code) for code in range(known)), -1.0, -2.0)
        return [Feature(name, name, "code", table=codes)], {}
    present = [place for place in range(known + 2) if place < known or (places == place).any()]
    tables = np.eye(known + 2)[present]
    making: Making = "one_hot"
    return [
        Feature(f"{name} #{place}", name, making, table=tuple(row.tolist()))
        for place, row in zip(present, tables, strict=True)
    ], {}


def _target(
    name: str, places: NDArray[np.int64], known: int, target: Any, seed: int
) -> tuple[list[Feature], dict[int, Floats]]:
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import TargetEncoder

    numeric = target.dtype.kind == "f"
    kind = "continuous" if numeric else ("multiclass" if target.max() > 1 else "binary")
    folds = (KFold if numeric else StratifiedKFold)(_FOLDS, shuffle=True, random_state=seed)
    encoder = TargetEncoder(target_type=kind, cv=folds)
    crossed = encoder.fit_transform(places.reshape(-1, 1), target)
    everything = np.arange(known + 2).reshape(-1, 1)
    tables = encoder.transform(everything)
    columns = range(tables.shape[1])
    several = len(columns) > 1
    features = [
        Feature(
            f"{name} {n}" if several else name, name, "target", table=tuple(tables[:, n].tolist())
        )
        for n in columns
    ]
    return features, {n: crossed[:, n] for n in columns}


def _scaled(
    feature: Feature, columns: Columns, values: dict[str, Any], crossed: Floats | None
) -> Feature:
    """The feature on the scale of its training values; lookups have it in their table."""
    if feature.making in ("missing", "one_hot"):
        return feature
    if feature.making in ("code", "target"):
        alone = Preparation((feature.column,), {feature.column: values[feature.column]}, (feature,))
        given = (
            alone({feature.column: columns[feature.column]})[:, 0] if crossed is None else crossed
        )
        mean, scale = _affine(given.astype(np.float64))
        return replace(feature, table=tuple((one - mean) / scale for one in feature.table))
    alone = Preparation((feature.column,), {}, (feature,))
    mean, scale = _affine(alone({feature.column: columns[feature.column]})[:, 0].astype(np.float64))
    return replace(feature, mean=mean, scale=scale)


def _affine(given: Floats) -> tuple[float, float]:
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(given.reshape(-1, 1))
    return float(scaler.mean_[0]), float(scaler.scale_[0])
