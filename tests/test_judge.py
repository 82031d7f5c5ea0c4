"""A judge behind a real HTTP server, through MLflow's real evaluation."""

import math
import subprocess
import sys
from typing import Any

import pandas as pd
import pytest

from lifecycle.errors import ConfigError
from lifecycle.fingerprint import ROOT
from lifecycle.tracking import Tracker
from rag.config import JudgeConfig
from rag.judge import JUDGE_METRICS, add_opinions, asker
from tests import corpus
from tests.chat_server import Reply, chat_server


def scores() -> pd.DataFrame:
    """Two answers as expected, one wrong, one to a question without an answer, one withheld."""
    rows = [
        ("right", "Bees dance. [1]", "Bees dance.", False),
        ("partly", "Some bees dance.", "All bees dance.", False),
        ("wrong", "Bees sing.", "Bees dance.", False),
        ("unasked", "Bees dance.", "", False),
        ("silent", "The documents do not answer this question.", "Bees dance.", True),
    ]
    frame = pd.DataFrame(rows, columns=["id", "answer", "expected", "abstained"]).set_index("id")
    return frame.assign(question="What do bees do?", passages="Bees dance.")


def verdicts(body: dict[str, Any]) -> Reply:
    prompt = body["messages"][-1]["content"]
    if "Bees sing" in prompt:
        return Reply(("No", ", they ", "dance."))
    if "Some bees" in prompt:
        return Reply(("**Partly**: some.",))
    return Reply(("Yes, they do.",))


def config(url: str, **changes: Any) -> JudgeConfig:
    return JudgeConfig(model="scripted", base_url=url, timeout_s=5, **changes)


def test_opinions_are_scores_by_question(tracker: Tracker) -> None:
    table = scores()
    with chat_server(verdicts) as server:
        ask = asker(config(server.url), corpus.embedder())
        facts, failure = add_opinions(table, config(server.url), ask, tracker, "bees")
    grounded, correct = (table[name].to_dict() for name in JUDGE_METRICS)
    assert {name: grounded[name] for name in ("right", "partly", "wrong", "unasked")} == {
        "right": 1.0,
        "partly": 0.5,
        "wrong": 0.0,
        "unasked": 1.0,
    }
    assert (correct["right"], correct["partly"], correct["wrong"]) == (1.0, 0.5, 0.0)
    assert math.isnan(correct["unasked"])
    assert math.isnan(grounded["silent"])
    assert facts == {"judge.asked": 7.0, "judge.failed": 0.0}
    assert failure == ""
    assert not any("[1]" in str(body) for body in server.requests)
    assert seen(tracker, "bees") == {"groundedness": 4, "correctness": 3}


def seen(tracker: Tracker, place: str) -> dict[str, int]:
    """How many opinions, each with its reason, MLflow shows."""
    import mlflow

    found = mlflow.search_traces(locations=[tracker.experiment(place)], return_type="list")
    given = [one for trace in found for one in trace.info.assessments]
    assert all(one.source.source_id == "scripted" and one.rationale for one in given)
    return {
        name: sum(one.name == name for one in given) for name in ("groundedness", "correctness")
    }


def test_what_the_judge_does_not_say_is_nan_and_counted(tracker: Tracker) -> None:
    def script(body: dict[str, Any]) -> Reply:
        prompt = body["messages"][-1]["content"]
        if "Bees sing" in prompt:
            return Reply(status=401)
        if "Some bees" in prompt:
            return Reply(("Well, hard to say.",))
        return Reply(("yes",))

    table = scores()
    with chat_server(script) as server:
        ask = asker(config(server.url), corpus.embedder())
        facts, failure = add_opinions(table, config(server.url), ask, tracker, "bees")
    assert table["judge.groundedness"].isna().to_dict() == {
        "right": False,
        "partly": True,
        "wrong": True,
        "unasked": False,
        "silent": True,
    }
    assert facts == {"judge.asked": 7.0, "judge.failed": 4.0}
    assert "no verdict" in failure or "scripted refusal 401" in failure


def test_a_server_that_is_not_there_fails_no_run(tracker: Tracker) -> None:
    with chat_server(verdicts) as server:
        gone = config(server.url, sample=1)
    table = scores()
    facts, failure = add_opinions(table, gone, asker(gone, corpus.embedder()), tracker, "bees")
    assert table["judge.groundedness"].isna().all()
    assert facts["judge.failed"] == facts["judge.asked"] >= 1
    assert "onnection" in failure


def test_the_sample_is_the_same_each_time(tracker: Tracker) -> None:
    chosen = []
    with chat_server(verdicts) as server:
        for _ in range(2):
            table = scores()
            small = config(server.url, sample=2)
            add_opinions(table, small, asker(small, corpus.embedder()), tracker, "bees")
            chosen.append(table["judge.groundedness"].notna().to_dict())
    assert chosen[0] == chosen[1]
    assert sum(chosen[0].values()) == 2


def test_a_paid_server_needs_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ConfigError, match="JUDGE_KEY is not set"):
        asker(JudgeConfig(model="m", api_key_env="JUDGE_KEY"), corpus.embedder())


def test_a_judge_costs_no_import_when_off() -> None:
    code = (
        "import sys, rag.stages.evaluate, rag.evaluate\n"
        "print(sorted({'mlflow', 'openai', 'rag.judge', 'lifecycle.judging'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
