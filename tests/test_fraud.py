"""Payment fraud: the simulation is what its docstring says, and no feature looks ahead."""

import csv
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import lightgbm
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import average_precision_score

from lifecycle.config import build, read_yaml
from lifecycle.errors import ConfigError, InvalidDataError, SourceError
from lifecycle.stages import TABLE
from lifecycle.tables import read_schema
from lifecycle.usecases import FOLDER
from lifecycle.validation import validate
from usecases.fraud import features, source
from usecases.fraud.settings import Pattern, SimulationConfig
from usecases.fraud.simulate import Simulation, simulate

SMALL = SimulationConfig(payments=20_000, accounts=1_000, merchants=400, fraud_share=0.02)
SCHEMA = read_schema(FOLDER / "fraud" / "schema.yaml")
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


@pytest.fixture(scope="module")
def shipped() -> Simulation:
    return simulate(SimulationConfig())


@pytest.fixture(scope="module")
def small() -> Simulation:
    return simulate(SMALL)


@pytest.fixture(scope="module")
def table(shipped: Simulation) -> pd.DataFrame:
    return built(shipped.accounts, shipped.merchants, shipped.payments)


def built(accounts: pa.Table, merchants: pa.Table, payments: pa.Table) -> pd.DataFrame:
    with duckdb.connect() as connection:
        connection.register("accounts", accounts)
        connection.register("merchants", merchants)
        connection.register("payments", payments)
        return features.build(connection).to_pandas()


def test_the_yaml_names_every_parameter_with_its_default() -> None:
    options = read_yaml(FOLDER / "fraud" / "classic.yaml")["source"]["options"]
    assert build(source.Options, options, "the YAML") == source.Options()
    assert set(options) == set(SimulationConfig.model_fields)


def test_half_a_percent_is_fraud_in_order_of_time(shipped: Simulation) -> None:
    payments = shipped.payments.to_pandas()
    assert len(payments) == 100_000
    assert payments["fraud"].mean() == pytest.approx(0.005, abs=1e-6)
    assert payments["time"].is_monotonic_increasing
    assert payments["payment_id"].is_unique
    first, last = payments["time"].iloc[[0, -1]]
    assert str(first.date()) == "2024-01-01"
    assert last < first.normalize() + 180 * DAY
    assert np.array_equal(payments["fraud"] == 1, shipped.truth.pattern >= 0)


def test_the_same_seed_gives_the_same_payments_and_another_seed_others(small: Simulation) -> None:
    again, other = simulate(SMALL), simulate(SMALL.model_copy(update={"seed": 1}))
    assert again.payments.equals(small.payments)
    assert np.array_equal(again.truth.probability, small.truth.probability)
    assert not other.payments.equals(small.payments)


def test_each_pattern_begins_on_its_day(shipped: Simulation) -> None:
    times = shipped.payments.to_pandas()["time"]
    day = (times - times.iloc[0].normalize()) // DAY
    for number, pattern in enumerate(SimulationConfig().patterns):
        days = day[shipped.truth.pattern == number]
        assert pattern.from_day <= days.min() <= pattern.from_day + 12
        assert days.max() > 165


def test_a_burst_is_one_account_and_lasts_as_long_as_its_pattern_says(shipped: Simulation) -> None:
    payments = shipped.payments.to_pandas()
    payments["burst"], payments["pattern"] = shipped.truth.burst, shipped.truth.pattern
    bursts = payments[payments["burst"] >= 0].groupby("burst")
    assert (bursts["account_id"].nunique() == 1).all()
    assert bursts["account_id"].first().is_unique
    hours = np.array([pattern.hours for pattern in SimulationConfig().patterns])
    lasted = bursts["time"].max() - bursts["time"].min()
    assert (lasted.dt.total_seconds() <= 3_600 * hours[bursts["pattern"].first()]).all()


def test_card_testing_starts_small_at_night_on_a_device_that_is_new(table: pd.DataFrame) -> None:
    early = table[table["time"] < table["time"].iloc[0] + 60 * DAY]
    fraud, others = (early[early["fraud"] == flag] for flag in (1, 0))
    assert (fraud["amount"] < 4).mean() > 0.25 > 4 * (others["amount"] < 4).mean()
    assert fraud["hour"].le(7).mean() > 0.9
    assert fraud["device_accounts_7d"].mean() > 0
    assert fraud[fraud["account_count_1d"] == 0]["new_device"].mean() > 0.95
    assert others[others["account_count_7d"] > 0]["new_device"].mean() < 0.3


def test_labels_arrive_late_by_the_distribution_that_is_stated(shipped: Simulation) -> None:
    payments = shipped.payments.to_pandas()
    delay = (payments["label_time"] - payments["time"]) / DAY
    for flag in (0, 1):
        assert delay[payments["fraud"] == flag].median() == pytest.approx(10, rel=0.15)
    assert delay.min() > 0
    assert delay.max() <= 45
    logs = np.log(delay[delay < 45])
    assert logs.std() == pytest.approx(0.7, abs=0.05)


def test_probabilities_of_the_truth_are_calibrated_and_certain_outside_bursts(
    shipped: Simulation,
) -> None:
    fraud, risk = shipped.payments["fraud"].to_numpy(), shipped.truth.probability
    assert risk.sum() == pytest.approx(fraud.sum(), rel=0.02)
    assert fraud[risk == 0].sum() == 0
    unsure = (risk > 0) & (risk < 0.98)
    assert unsure.sum() > 50
    assert fraud[unsure].mean() == pytest.approx(risk[unsure].mean(), abs=0.05)


def test_more_fraud_than_accounts_can_bear_and_too_few_merchants_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"2,000 fraudulent payments .* 50 accounts"):
        simulate(SimulationConfig(payments=10_000, fraud_share=0.2, accounts=50))
    regions = tuple("abcdefghij")
    with pytest.raises(ConfigError, match=r"100 merchants are too few for 120 pairs"):
        simulate(SimulationConfig(merchants=100, regions=regions))
    with pytest.raises(ConfigError, match=r"start='2024-02-31' is no day"):
        simulate(SMALL.model_copy(update={"start": "2024-02-31"}))


def test_patterns_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValidationError, match="no category 'yachts'"):
        Pattern(name="odd", categories=("yachts",))
    with pytest.raises(ValidationError, match="fraud could not begin"):
        SimulationConfig(patterns=(Pattern(name="late", from_day=3),))


def expected(row: Mapping[str, Any], payments: pd.DataFrame) -> dict[str, Any]:
    """The features of ``row`` by their definitions, one at a time."""
    now = row["time"].floor("s")
    past = payments[payments["second"] < now]
    known = payments[(payments["fraud"] == 1) & (payments["label_time"].dt.floor("s") < now)]
    found: dict[str, Any] = {}
    for entity in ("account", "merchant", "device"):
        own = past[past[f"{entity}_id"] == row[f"{entity}_id"]]
        for name, seconds in features.SPANS.items():
            recent = own[own["second"] >= now - seconds * SECOND]
            found[f"{entity}_count_{name}"] = len(recent)
            found[f"{entity}_sum_{name}"] = int(recent["cents"].sum()) / 100
        found[f"{entity}_known_frauds"] = int((known[f"{entity}_id"] == row[f"{entity}_id"]).sum())
    mine = past[past["account_id"] == row["account_id"]]
    day = mine[mine["second"] >= now - DAY]
    week = past[(past["device_id"] == row["device_id"]) & (past["second"] >= now - 7 * DAY)]
    device = mine[mine["device_id"] == row["device_id"]]
    total = int(mine["cents"].sum())
    cents = round(row["amount"] * 100)
    return found | {
        "account_small_1d": int((day["amount"] <= features.SMALL_AMOUNT).sum()),
        "account_merchants_1d": day["merchant_id"].nunique(),
        "device_accounts_7d": week["account_id"].nunique(),
        "seconds_since_previous": (now - mine["second"].max()).total_seconds(),
        "amount_against_mean": cents * len(mine) / total if total else np.nan,
        "new_device": device.empty,
        "device_seconds": (now - device["second"].min()).total_seconds(),
        "new_merchant": row["merchant_id"] not in set(mine["merchant_id"]),
    }


def compare(table: pd.DataFrame, payments: pd.DataFrame, rows: pd.DataFrame) -> None:
    payments = payments.assign(
        second=payments["time"].dt.floor("s"),
        cents=(payments["amount"] * 100).round().astype(int),
    )
    by_id = table.set_index("payment_id")
    for row in rows.to_dict("records"):
        wanted = pd.Series(expected(row, payments), dtype="float64")
        got = by_id.loc[row["payment_id"], list(wanted.index)].astype("float64")
        pd.testing.assert_series_equal(got, wanted, check_names=False, rtol=0, atol=0)


def test_features_are_those_of_their_definitions(small: Simulation) -> None:
    payments = small.payments.to_pandas()
    fraud = payments[payments["fraud"] == 1]
    rows = pd.concat([payments.sample(60, random_state=0), fraud.sample(40, random_state=0)])
    compare(built(small.accounts, small.merchants, small.payments), payments, rows)


def few(seconds: list[int], cents: list[int]) -> pa.Table:
    """Payments of two accounts at two merchants with three devices."""
    count = len(seconds)
    number = np.arange(count)
    start = np.datetime64("2024-03-01T00:00:00", "us")
    times = start + np.array(seconds, dtype="timedelta64[s]")
    late = times + (number * 1_700).astype("timedelta64[s]")
    return pa.table(
        {
            "payment_id": [f"p{one}" for one in number],
            "time": pa.array(times, pa.timestamp("us", "UTC")),
            "account_id": [f"a{one % 2}" for one in number],
            "merchant_id": [f"m{one // 2 % 2}" for one in number],
            "device_id": [f"d{one % 3}" for one in number],
            "amount": np.array(cents) / 100,
            "fraud": number % 2,
            "label_time": pa.array(late, pa.timestamp("us", "UTC")),
        }
    )


ACCOUNTS = pa.table(
    {
        "account_id": ["a0", "a1"],
        "opened": ["2023-12-31", "2024-02-29"],
        "home_region": ["north", "south"],
    }
)
MERCHANTS = pa.table(
    {"merchant_id": ["m0", "m1"], "category": ["food", "toys"], "region": ["north", "south"]}
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 3_599, 3_600, 3_601, 86_399, 86_400, 604_800, 604_801]),
            st.integers(0, 500),
        ),
        min_size=1,
        max_size=14,
    )
)
def test_windows_hold_at_their_edges_and_for_payments_in_one_second(
    drawn: list[tuple[int, int]],
) -> None:
    payments = few([second for second, _ in drawn], [cents for _, cents in drawn])
    frame = payments.to_pandas()
    compare(built(ACCOUNTS, MERCHANTS, payments), frame, frame)


def test_payments_in_the_same_second_see_nothing_of_each_other() -> None:
    found = built(ACCOUNTS, MERCHANTS, few([10, 10, 10, 10], [100] * 4))
    counts = found.filter(like="_count_").to_numpy()
    assert not counts.any()
    assert found["new_device"].all()
    assert found["seconds_since_previous"].isna().all()


def test_without_the_future_the_past_has_the_same_features(small: Simulation) -> None:
    whole = built(small.accounts, small.merchants, small.payments)
    until = whole["time"].iloc[12_000]
    cut = small.payments.filter(pc.field("time") <= until)
    # What one does not know yet at that time may be anything.
    fraud, unknown = cut["fraud"], pc.greater(cut["label_time"], until)
    assert pc.sum(unknown).as_py() > 500
    wrong = pc.if_else(unknown, pc.subtract(1, fraud), fraud)
    cut = cut.set_column(cut.column_names.index("fraud"), "fraud", wrong)
    part = built(small.accounts, small.merchants, cut)
    pd.testing.assert_frame_equal(
        part.drop(columns="fraud"), whole.head(len(part)).drop(columns="fraud")
    )


def test_a_label_dated_before_its_own_payment_is_not_seen_by_it() -> None:
    payments = few([0, 60, 120, 180], [100] * 4)
    early = pc.subtract(payments["time"], timedelta(hours=1))
    payments = payments.set_column(7, "label_time", early)
    assert built(ACCOUNTS, MERCHANTS, payments)["account_known_frauds"].tolist() == [0, 0, 0, 1]


def test_amounts_that_are_no_numbers_do_not_stop_the_others() -> None:
    payments = few([0, 1, 2, 3], [100] * 4)
    odd = pa.array(["nan", "inf", "", "1.00"])
    found = built(ACCOUNTS, MERCHANTS, payments.set_column(5, "amount", odd))
    assert found["account_sum_1h"].tolist() == [0, 0, 0, 0]
    assert found["account_count_1h"].tolist() == [0, 0, 1, 1]
    assert found["amount"].iloc[3] == 1


def test_what_is_known_of_the_account_and_the_merchant_stands_beside_the_payment() -> None:
    found = built(ACCOUNTS, MERCHANTS, few([0, 3_600 * 5], [100, 200]))
    assert found["abroad"].tolist() == [False, True]
    assert found["account_age_days"].tolist() == [61, 1]
    assert found["hour"].tolist() == [0, 5]
    assert found["weekday"].tolist() == [5, 5]
    stranger = built(ACCOUNTS.slice(0, 1), MERCHANTS, few([0, 5], [100, 200]))
    assert stranger["home_region"].isna().tolist() == [False, True]


def test_the_table_fits_its_schema(table: pd.DataFrame, tmp_path: Path) -> None:
    assert set(table.columns) == set(SCHEMA.columns)
    result = validate(table, SCHEMA.pandera(), tmp_path, 0)
    assert len(result.good) == len(table)
    sensitive = [name for name, column in SCHEMA.columns.items() if column.sensitive]
    assert sensitive == ["account_id", "device_id"]
    assert not set(sensitive) & set(SCHEMA.features)


def learned(table: pd.DataFrame, names: list[str], rows: "pd.Series[bool]") -> np.ndarray:
    """Scores of all payments by a plain model that learned from ``rows``."""
    given = table[names].apply(lambda one: one.astype("category") if one.dtype == "str" else one)
    model = lightgbm.LGBMClassifier(
        n_estimators=80, learning_rate=0.07, num_leaves=15, min_child_samples=50, n_jobs=1,
        verbose=-1, random_state=0,
    )  # fmt: skip
    return np.asarray(model.fit(given[rows], table["fraud"][rows]).predict_proba(given)[:, 1])


def test_a_model_with_windows_beats_one_without_and_stays_below_the_truth(
    table: pd.DataFrame, shipped: Simulation
) -> None:
    cut = table["time"].iloc[75_000]
    known, test = table["label_time"] < cut, (table["time"] >= cut).to_numpy()
    fraud = table["fraud"].to_numpy()[test]
    alone = ["amount", "category", "region", "home_region", "abroad", "hour", "weekday"]
    scores = {
        "alone": learned(table, alone, known)[test],
        "windows": learned(table, SCHEMA.features, known)[test],
        "truth": shipped.truth.probability[test],
    }
    found = {name: average_precision_score(fraud, one) for name, one in scores.items()}
    assert found["alone"] > 10 * fraud.mean()
    assert found["windows"] > found["alone"] + 0.1
    assert found["windows"] < found["truth"]


def test_a_model_from_before_a_pattern_does_not_know_it(
    table: pd.DataFrame, shipped: Simulation
) -> None:
    """Average precision of takeovers among honest payments, after they began."""
    cut = table["time"].iloc[75_000]
    began = table["time"].iloc[0].normalize() + 60 * DAY
    rows = (table["time"] >= cut) & ((table["fraud"] == 0) | (shipped.truth.pattern == 1))
    fraud = table["fraud"][rows]
    before, after = (
        average_precision_score(fraud, learned(table, SCHEMA.features, known)[rows])
        for known in (table["label_time"] < began, table["label_time"] < cut)
    )
    assert after > 1.5 * before


def test_the_source_writes_the_table_and_says_what_it_holds(tmp_path: Path) -> None:
    options = SMALL.model_dump(mode="json")
    said = source.load(options, tmp_path, tmp_path)
    assert said == "20,000 payments, 2.00% fraud"
    assert pq.read_table(tmp_path / TABLE).num_rows == 20_000
    assert source.digest(options, tmp_path) == ""
    with pytest.raises(ConfigError, match=r"source.options of fraud: unknown key 'acounts'"):
        source.load({"acounts": 3}, tmp_path, tmp_path)


def exported(small: Simulation, folder: Path) -> None:
    folder.mkdir()
    pacsv.write_csv(small.accounts, folder / "accounts.csv")
    pq.write_table(small.merchants, folder / "merchants.parquet")
    pacsv.write_csv(small.payments, folder / "payments.csv")


def test_files_of_a_service_give_the_same_table(small: Simulation, tmp_path: Path) -> None:
    exported(small, tmp_path / "files")
    source.load({"path": "files"}, tmp_path, tmp_path)
    found = pd.read_parquet(tmp_path / TABLE)
    wanted = built(small.accounts, small.merchants, small.payments)
    pd.testing.assert_frame_equal(found, wanted)
    before = source.digest({"path": "files"}, tmp_path)
    with (tmp_path / "files" / "accounts.csv").open("a") as file:
        csv.writer(file).writerow(["A9", "2024-01-01", "north"])
    assert source.digest({"path": "files"}, tmp_path) != before


def test_broken_lines_are_set_aside_and_never_quoted(small: Simulation, tmp_path: Path) -> None:
    exported(small, tmp_path / "files")
    path = tmp_path / "files" / "payments.csv"
    lines = path.read_text().splitlines()
    first = lines[5].split(",")
    lines[5] = ",".join([*first[:5], '"much"', *first[6:]])
    lines.append("P0020000,2024-06-01,A0000777")
    path.write_text("\n".join(lines))
    source.load({"path": "files"}, tmp_path, tmp_path)
    table = pd.read_parquet(tmp_path / TABLE)
    result = validate(table, SCHEMA.pandera(), tmp_path, 0.1)
    assert result.bad["payment_id"].tolist() == ["P0000004", "P0020000"]
    assert result.bad["problem"].str.contains("amount is missing").all()
    path.write_text("\n".join([*lines, "P9,2024-01-01,A0000777,1,2,3,4,5,6,7"]))
    with pytest.raises(SourceError, match="the payments cannot be read") as refused:
        source.load({"path": "files"}, tmp_path, tmp_path)
    assert "A0000777" not in str(refused.value)


def test_a_folder_that_lacks_a_table_or_a_column_is_refused(
    small: Simulation, tmp_path: Path
) -> None:
    exported(small, tmp_path / "files")
    (tmp_path / "files" / "merchants.parquet").unlink()
    with pytest.raises(SourceError, match=r"holds no merchants.parquet and no merchants.csv"):
        source.digest({"path": "files"}, tmp_path)
    pq.write_table(small.merchants.drop(["category"]), tmp_path / "files" / "merchants.parquet")
    with pytest.raises(SourceError, match="category"):
        source.load({"path": "files"}, tmp_path, tmp_path)


def test_a_payment_of_an_amount_below_nothing_is_refused(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    bad = table.head(10).assign(amount=-1.0)
    with pytest.raises(InvalidDataError, match="amount is below 0"):
        validate(bad, SCHEMA.pandera(), tmp_path, 0.2)
