"""Delivery times: the simulation is what its docstring says, and its schema holds it."""

from datetime import timedelta
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from lifecycle.config import build, read_yaml
from lifecycle.errors import ConfigError
from lifecycle.stages import TABLE
from lifecycle.tables import read_schema
from lifecycle.usecases import FOLDER
from lifecycle.validation import validate
from usecases.delivery import source
from usecases.delivery.simulate import DAY, Simulation, SimulationConfig, recent_pace, simulate

SHIPPED = SimulationConfig()
SCHEMA = read_schema(FOLDER / "delivery" / "schema.yaml")


@pytest.fixture(scope="module")
def shipped() -> Simulation:
    return simulate(SHIPPED)


@pytest.fixture(scope="module")
def table(shipped: Simulation) -> pd.DataFrame:
    return shipped.table.to_pandas()


def days(table: pd.DataFrame) -> "pd.Series[int]":
    return (table["time"] - pd.Timestamp(SHIPPED.start, tz="UTC")) // timedelta(days=1)


def test_the_yaml_names_every_parameter_with_its_default() -> None:
    options = read_yaml(FOLDER / "delivery" / "classic.yaml")["source"]["options"]
    assert build(SimulationConfig, options, "the YAML") == SHIPPED
    assert set(options) == set(SimulationConfig.model_fields)


def test_the_same_seed_gives_the_same_deliveries_and_another_seed_others() -> None:
    small = SimulationConfig(orders=1_000)
    one, same, other = (simulate(small.model_copy(update={"seed": s})) for s in (3, 3, 4))
    assert one.table.equals(same.table)
    assert not one.table.equals(other.table)


def test_the_table_is_in_order_of_time_and_fits_its_schema(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    assert len(table) == SHIPPED.orders
    assert table["time"].is_monotonic_increasing
    assert days(table).iloc[[0, -1]].tolist() == [0, SHIPPED.days - 1]
    assert (table["time"].dt.hour == table["hour"]).all()
    assert (table["time"].dt.day_of_week + 1 == table["weekday"]).all()
    assert list(table.columns) == list(SCHEMA.columns)
    assert len(validate(table, SCHEMA.pandera(), tmp_path, 0).good) == len(table)


def test_means_and_quantiles_of_the_truth_are_those_of_the_deliveries(
    table: pd.DataFrame, shipped: Simulation
) -> None:
    minutes = table["minutes"].to_numpy()
    assert minutes.mean() == pytest.approx(shipped.truth.mean.mean(), rel=0.01)
    sure = shipped.truth.sigma < np.median(shipped.truth.sigma)
    for rows in (sure, ~sure):
        for share in (0.05, 0.25, 0.5, 0.95):
            below = minutes[rows] < shipped.truth.quantile(share)[rows]
            assert below.mean() == pytest.approx(share, abs=0.015)


def test_noise_is_skewed_to_the_right_and_grows_with_traffic_and_rain(
    table: pd.DataFrame, shipped: Simulation
) -> None:
    noise = table["minutes"] - shipped.truth.typical
    assert noise.skew() > 1
    relative = np.log(table["minutes"] / shipped.truth.typical)
    for column, low, high in (("traffic", 0.3, 0.8), ("rain_mm", 0.1, 3.0)):
        calm, hard = (relative[rows].std() for rows in (table[column] < low, table[column] > high))
        assert hard > 1.2 * calm


def test_roadworks_slow_the_same_traffic_down_from_their_day_on(
    table: pd.DataFrame, shipped: Simulation
) -> None:
    """Minutes of ride that an hour of the worst traffic costs over a free one, a kilometre."""
    day = days(table)
    after = day >= SHIPPED.roadworks_day
    far, dry = table["distance_km"] > 4, table["rain_mm"] == 0
    ride = (shipped.truth.typical - table["stated_min"]) / table["distance_km"]

    def cost(rows: "pd.Series[bool]") -> float:
        chosen = ride[rows & far & dry]
        heavy, light = table["traffic"] > 0.8, table["traffic"] < 0.2
        return float(chosen[heavy].mean() - chosen[light].mean())

    assert cost(after) > 1.5 * cost(~after)
    same = SHIPPED.model_copy(update={"roadworks_slope": SHIPPED.traffic_slope})
    calm = simulate(same).truth.typical
    before = (~after).to_numpy()
    assert np.array_equal(calm[before], shipped.truth.typical[before])
    assert (calm <= shipped.truth.typical).all()


def test_the_rainy_season_begins_on_its_day(table: pd.DataFrame) -> None:
    wet = (table["rain_mm"] > 0).groupby(days(table)).max()
    before, after = wet[wet.index < SHIPPED.rainy_day], wet[wet.index >= SHIPPED.rainy_day]
    assert before.mean() == pytest.approx(SHIPPED.dry_share, abs=0.08)
    assert after.mean() == pytest.approx(SHIPPED.rainy_share, abs=0.1)
    assert table["rain_mm"].isna().mean() == pytest.approx(SHIPPED.rain_gap, abs=0.003)


def test_the_recent_pace_knows_only_what_had_arrived(table: pd.DataFrame) -> None:
    second = table["time"].astype("datetime64[s, UTC]").astype("int64")
    ended = second + np.ceil(table["minutes"] * 60).astype("int64")
    pace = table["minutes"] / (table["stated_min"] + 3 * table["distance_km"])
    for row in np.random.default_rng(0).choice(len(table), 200, replace=False):
        there = (ended >= second[row] - DAY) & (ended < second[row])
        assert table["recent_pace"][row] == pytest.approx(pace[there].mean(), rel=1e-9)
    assert np.isnan(table["recent_pace"][0])


def test_a_delivery_that_ends_with_the_order_is_not_known_yet() -> None:
    second, minutes, plan = np.array([0, 60, 61]), np.array([1.0, 1.0, 1.0]), np.array([2.0, 1, 1])
    assert recent_pace(second, minutes, plan).tolist()[2] == 0.5
    assert np.isnan(recent_pace(second, minutes, plan)[:2]).all()


def learned(table: pd.DataFrame, names: list[str], rows: "pd.Series[bool]") -> np.ndarray:
    """Medians of all deliveries by a plain model that learned from ``rows``."""
    given = table[names].apply(lambda one: one.astype("category") if one.dtype == "str" else one)
    model = lightgbm.LGBMRegressor(
        objective="l1", n_estimators=200, learning_rate=0.07, num_leaves=15, n_jobs=1, verbose=-1
    )
    return np.asarray(model.fit(given[rows], table["minutes"][rows]).predict(given))


def test_a_model_beats_the_median_and_stays_behind_the_truth(
    table: pd.DataFrame, shipped: Simulation
) -> None:
    early = days(table) < 135
    minutes, test = table["minutes"].to_numpy(), ~early.to_numpy()
    answers = {
        "median": np.full(len(minutes), np.median(minutes[early])),
        "model": learned(table, SCHEMA.features, early),
        "truth": shipped.truth.typical,
    }
    error = {name: np.abs(one - minutes)[test].mean() for name, one in answers.items()}
    assert error["model"] < 0.6 * error["median"]
    assert error["truth"] < error["model"] < 1.15 * error["truth"]


def test_a_model_from_before_the_roadworks_comes_too_early(table: pd.DataFrame) -> None:
    day = days(table)
    stale = learned(table, SCHEMA.features, day < SHIPPED.roadworks_day)
    late = table["minutes"] - stale
    before = late[day < SHIPPED.roadworks_day].mean()
    after = late[(day >= SHIPPED.roadworks_day) & (day < SHIPPED.rainy_day)].mean()
    assert after > before + 1.5


def test_the_source_writes_the_table_and_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    said = source.load({"orders": 500}, tmp_path, tmp_path)
    assert said.startswith("500 deliveries, ")
    assert pq.read_table(tmp_path / TABLE).num_rows == 500
    assert source.digest({"orders": 500}, tmp_path) == ""
    with pytest.raises(ConfigError, match=r"source.options of delivery: unknown key 'order'"):
        source.load({"order": 500}, tmp_path, tmp_path)
    with pytest.raises(ConfigError, match=r"start='2023-02-29' is no day"):
        source.load({"start": "2023-02-29"}, tmp_path, tmp_path)
