"""From an evaluated bundle to a registered version: the gate's question, put and acted upon."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.bundle import Bundle, read_manifest
from lifecycle.evaluation import Evaluation
from lifecycle.gate import Decision, Rule, decide
from lifecycle.promotion import audit_trail, promote_locked, registry_lock
from lifecycle.registry import CHALLENGER, Version
from lifecycle.state import State
from lifecycle.tracking import Tracker

if TYPE_CHECKING:
    import pandas as pd

SCORES = "scores.parquet"
EVALUATION = "evaluation.json"

Scorer = Callable[[Path], "pd.DataFrame"]


@dataclass(frozen=True)
class Judgement:
    """The gate's decision about a candidate, and the champion it was compared with (0: none)."""

    decision: Decision
    champion: int
    champion_metrics: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"decision": self.decision.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Judgement":
        return cls(Decision.from_dict(data["decision"]), data["champion"], data["champion_metrics"])


@dataclass(frozen=True)
class Outcome:
    """What became of a candidate.

    ``status``: ``promoted``; ``rejected`` by its gate; ``unchanged`` where it is the champion
    already; ``known`` where an earlier version is this same model and is no champion any more.
    """

    status: str
    version: int
    champion: int
    data_version: str
    run_id: str
    report: str
    reasons: tuple[str, ...]


def load_evaluation(folder: Path) -> tuple[Evaluation, "pd.DataFrame"]:
    """The evaluation and its per-example scores from a folder that an evaluate step wrote."""
    import pandas as pd

    evaluation = Evaluation.from_dict(json.loads((folder / EVALUATION).read_text("utf-8")))
    return evaluation, pd.read_parquet(folder / SCORES)


def judge(
    tracker: Tracker, name: str, bundle: Path, evaluated: Path, rules: Sequence[Rule], score: Scorer
) -> Judgement:
    """Apply ``rules`` to the candidate, beside the champion of ``name`` on the same holdout.

    ``score`` evaluates a bundle on that holdout; it is asked for the champion's scores alone.
    """
    evaluation, scores = load_evaluation(evaluated)
    champion = tracker.champion(name)
    if champion is None:
        return Judgement(decide(rules, evaluation, scores, None), 0)
    path = tracker.bundle_path(champion)
    same = read_manifest(path).bundle_id == read_manifest(bundle).bundle_id
    theirs = scores if same else score(path)
    decision = decide(rules, evaluation, scores, theirs)
    return Judgement(decision, champion.number, _means(theirs, evaluation))


def register(
    tracker: Tracker,
    state: State,
    bundle: Bundle,
    judgement: Judgement,
    rejudge: Callable[[], Judgement],
    log: Callable[[Judgement], Version],
) -> tuple[str, Version, Judgement]:
    """Register the candidate unless it is there, and promote it where its gate passed.

    ``rejudge`` is called where another run moved the champion since ``judgement``; ``log`` writes
    the MLflow run and registers the version. Returns the status (see Outcome), the version and
    the judgement that counted.
    """
    name = bundle.manifest.name
    with registry_lock(state, name):
        champion = tracker.champion(name)
        if champion and champion.tags.get("bundle_id") == bundle.manifest.bundle_id:
            return "unchanged", champion, judgement
        if (champion.number if champion else 0) != judgement.champion:
            judgement = rejudge()
        version = registered(tracker, name, bundle.manifest.bundle_id, judgement)
        if version is not None and _served_once(tracker, version):
            return "known", version, judgement
        version = version or log(judgement)
        if not judgement.decision.passed:
            return "rejected", version, judgement
        tracker.set_alias(name, CHALLENGER, version.number)
        promote_locked(tracker, state, name, version.number, "passed its gate")
        return "promoted", version, judgement


def registered(tracker: Tracker, name: str, bundle_id: str, judgement: Judgement) -> Version | None:
    """The newest version that is this bundle and was judged the same way, if there is one."""
    if name not in tracker.names():
        return None
    same = [
        v
        for v in tracker.versions(name)
        if v.tags.get("bundle_id") == bundle_id and v.passed == judgement.decision.passed
    ]
    return same[-1] if same else None


def version_tags(bundle: Bundle, judgement: Judgement, extra: Mapping[str, str]) -> dict[str, str]:
    """What a registered version says of where it came from."""
    manifest = bundle.manifest
    code = manifest.code_version
    return {
        "bundle_id": manifest.bundle_id,
        "kind": manifest.kind,
        "use_case": manifest.use_case,
        "data_version": manifest.data_version,
        "code_commit": str(code.get("commit", "")),
        "code_dirty": str(code.get("dirty", "")),
        "code_fingerprint": str(code.get("fingerprint", "")),
        "gate": "passed" if judgement.decision.passed else "rejected",
        "gate_reasons": " ".join(judgement.decision.reasons)[:4000],
        **extra,
    }


def _served_once(tracker: Tracker, version: Version) -> bool:
    trail = audit_trail(tracker, version.name)
    return any(e.outcome == "done" and version.number in (e.after, e.before) for e in trail)


def _means(scores: "pd.DataFrame", evaluation: Evaluation) -> dict[str, float]:
    shared = [name for name in evaluation.metrics if name in scores.columns]
    return {name: float(scores[name].mean()) for name in shared}
