"""What every tabular candidate must do, on data whose right answers are known.

``size`` (with gaps) and ``kind`` say everything about the target, by a formula that stands here;
``noise`` says nothing, and ``cost`` is what a missed case costs.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from classic.tabular.evaluate import evaluate, worst_rows
from classic.tabular.explain import explain
from classic.tabular.model import TabularModel, Trained, train
from classic.tabular.settings import Costs, Kind, Learning, Problem, Tuning
from lifecycle.errors import BundleError, InputError
from lifecycle.tables import Column, TableSchema

ROWS, TEST = 900, 600
KINDS = ("plain", "odd", "rare")


def schema(problem: Problem) -> TableSchema:
    target = {"binary": "boolean", "multiclass": "category", "regression": "number"}[problem]
    columns: dict[str, Any] = {
        "name": {"type": "text", "role": "id"},
        "size": {"type": "number", "nullable": True, "min": -10, "max": 10},
        "kind": {"type": "category"},
        "noise": {"type": "number"},
        "at": {"type": "time"},
        "cost": {"type": "number", "role": "ignored"},
        "region": {"type": "category", "role": "segment"},
        "target": {"type": target, "role": "target"},
    }
    return TableSchema(columns={name: Column(**one) for name, one in columns.items()})


def planted(size: Any, kind: Any) -> Any:
    """The log odds, and the expected number, of each row."""
    return 2 * np.nan_to_num(size) + 2 * (np.asarray(kind) == "odd") - 1


def table(problem: Problem, rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    size = np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows))
    kind = rng.choice(KINDS, rows, p=(0.6, 0.39, 0.01))
    centre = planted(size, kind)
    target: Any = rng.random(rows) < 1 / (1 + np.exp(-centre))
    if problem == "regression":
        target = 3 * centre + rng.normal(size=rows) * (1 + 2 * (kind == "odd"))
    if problem == "multiclass":
        target = np.array(["low", "middle", "high"])[np.digitize(centre, (-1.5, 1.5))]
    frame = pd.DataFrame({"name": [f"{seed}-{n}" for n in range(rows)], "size": size})
    frame = frame.assign(kind=kind, noise=rng.normal(size=rows), cost=rng.uniform(1, 9, rows))
    frame["at"] = pd.to_datetime(1.7e9 + rng.integers(0, 10**7, rows), unit="s", utc=True)
    frame = frame.assign(region=rng.choice(["north", "south"], rows), target=target)
    return schema(problem).coerce(frame)


def learning(kind: Kind, **more: Any) -> Learning:
    costs = Costs(false_positive=1, false_negative="cost")
    return Learning(candidates=(kind,), tuning=Tuning(trials=2, folds=3), costs=costs, **more)


def row(**changed: Any) -> dict[str, Any]:
    """A row as JSON has it."""
    plain = {"size": 0.5, "kind": "odd", "noise": 0.1, "at": "2023-12-01T10:00:00Z"}
    return plain | changed


class TabularContract:
    """``kind``: the candidate; ``problem``: what is asked of it."""

    kind: Kind
    problem: Problem

    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls) -> Trained:
        return train(
            table(cls.problem, ROWS, 1), schema(cls.problem), cls.problem, learning(cls.kind)
        )

    @pytest.fixture(scope="class")
    @classmethod
    def test(cls) -> pd.DataFrame:
        return table(cls.problem, TEST, 2)

    def test_finds_the_formula(self, trained: Trained, test: pd.DataFrame) -> None:
        scores, facts = evaluate(trained.model, trained.model.baseline, test)
        assert facts["rows.evaluated"] == TEST
        centre = planted(test["size"], test["kind"])
        if self.problem == "regression":
            best = np.abs(test["target"] - 3 * centre).mean()
            assert scores["absolute_error"].mean() < best + 0.6
            assert scores["baseline.absolute_error"].mean() > best + 3
        elif self.problem == "binary":
            chance = 1 / (1 + np.exp(-centre))
            best = -np.log(np.where(scores["target"] == 1, chance, 1 - chance)).mean()
            assert scores["log_loss"].mean() < best + 0.06 < scores["baseline.log_loss"].mean()
            assert scores["cost"].mean() < scores["baseline.cost"].mean()
        else:
            assert scores["accuracy"].mean() > 0.9 > scores["baseline.accuracy"].mean() + 0.2
            assert scores["log_loss"].mean() < 0.3

    def test_scores_mean_what_they_say(self, trained: Trained, test: pd.DataFrame) -> None:
        predicted = trained.model.predict(test)
        if self.problem == "regression":
            inside = test["target"].between(predicted["low"], predicted["high"])
            assert 0.87 < inside.mean() < 0.96
            assert predicted["prediction"].between(predicted["low"], predicted["high"]).all()
            width = predicted["high"] - predicted["low"]
            assert width[test["kind"] == "odd"].mean() > 1.3 * width[test["kind"] == "plain"].mean()
        elif self.problem == "binary":
            assert predicted["score"].between(0, 1).all()
            assert predicted["score"].mean() == pytest.approx(test["target"].mean(), abs=0.05)
            alarms = (predicted["score"] >= trained.model.threshold).astype(int)
            np.testing.assert_array_equal(predicted["prediction"], alarms)
        else:
            shares = predicted[[f"prob.{name}" for name in ("high", "low", "middle")]]
            np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
            assert predicted["score"].to_numpy() == pytest.approx(shares.max(axis=1).to_numpy())

    def test_noise_is_of_no_importance(self, trained: Trained, test: pd.DataFrame) -> None:
        found = explain(trained.model, test).set_index("column")
        assert found.index[0] == "size"
        assert abs(found["permutation_drop"]["noise"]) < 0.1 * found["permutation_drop"].max()
        assert found["mean_abs_shap"].idxmax() == "size"
        assert found["mean_abs_shap"]["noise"] < 0.25 * found["mean_abs_shap"].max()

    def test_equal_seeds_make_equal_models(self, trained: Trained, test: pd.DataFrame) -> None:
        again = train(
            table(self.problem, ROWS, 1), schema(self.problem), self.problem, learning(self.kind)
        )
        pd.testing.assert_frame_equal(again.model.predict(test), trained.model.predict(test))
        assert again.trials["value"].tolist() == trained.trials["value"].tolist()

    def test_comes_back_from_its_folder(
        self, trained: Trained, test: pd.DataFrame, tmp_path: Path
    ) -> None:
        trained.model.save(tmp_path / "model")
        loaded = TabularModel.load(tmp_path / "model")
        pd.testing.assert_frame_equal(loaded.predict(test), trained.model.predict(test))
        assert loaded.schema == trained.model.schema
        kinds = {path.suffix for path in (tmp_path / "model").iterdir()}
        assert kinds <= {".json", ".txt", ".ubj", ".skops"}

    def test_a_broken_folder_is_refused(self, trained: Trained, tmp_path: Path) -> None:
        for path in self._files(trained, tmp_path / "whole"):
            trained.model.save(tmp_path / path.name)
            broken = tmp_path / path.name / path.name
            broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
            with pytest.raises(BundleError):
                TabularModel.load(tmp_path / path.name)
            broken.unlink()
            with pytest.raises(BundleError):
                TabularModel.load(tmp_path / path.name)

    def test_answers_rows_of_json(self, trained: Trained) -> None:
        answers = trained.model.predict_rows([row(), row(size=None), row(kind="never seen")])
        assert json.loads(json.dumps(answers)) == answers
        assert all("prediction" in answer for answer in answers)
        frame = pd.DataFrame([row(), row(size=None), row(kind="never seen")])
        same = trained.model.predict(frame).to_dict(orient="records")
        assert answers == same

    def test_bad_rows_stop_nobody(self, trained: Trained) -> None:
        good = trained.model.predict_rows([row()])[0]
        answers = trained.model.predict_rows([row(), row(noise="much"), {}, row()])
        for answer in (answers[0], answers[3]):
            assert answer.pop("prediction") == pytest.approx(good["prediction"])
            assert answer == pytest.approx({n: v for n, v in good.items() if n != "prediction"})
        assert answers[1] == {"error": "column 'noise' is 'much', not a number."}
        assert "'kind' is missing" in answers[2]["error"]
        assert trained.model.predict_rows([]) == []

    def test_a_bad_frame_is_refused(self, trained: Trained, test: pd.DataFrame) -> None:
        with pytest.raises(InputError, match=r"row 1: column 'noise' is missing"):
            trained.model.predict(test.assign(noise=test["noise"].mask(test.index == 1)))
        with pytest.raises(InputError, match="'kind' is missing"):
            trained.model.predict(test.drop(columns="kind"))
        without = trained.model.predict(test.drop(columns="size"))
        assert len(without) == TEST

    def test_the_worst_rows_come_first(self, trained: Trained, test: pd.DataFrame) -> None:
        scores, _ = evaluate(trained.model, trained.model.baseline, test)
        worst = worst_rows(trained.model, scores, test, 7)
        loss = "absolute_error" if self.problem == "regression" else "log_loss"
        assert worst[loss].tolist() == sorted(scores[loss], reverse=True)[:7]
        assert set(worst.index) <= set(test["name"])
        assert {"size", "kind", "noise", "at", "prediction"} <= set(worst.columns)

    @staticmethod
    def _files(trained: Trained, folder: Path) -> list[Path]:
        trained.model.save(folder)
        return sorted(folder.iterdir())
