"""The report of a recommender: beside the rules, by segment, and what it shows to whom."""

import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from classic.recommend.holdout import TABLES, Holdout, read
from classic.recommend.predictor import RecommendPredictor
from lifecycle.candidates import Judgement, load_evaluation
from lifecycle.evaluation import Evaluation
from lifecycle.figures import bar_figure, interval_figure
from lifecycle.registration import Candidate
from lifecycle.report import Report, Section, Table, by_segment, metric_table, run_facts, settings

if TYPE_CHECKING:
    import pandas as pd

HEADLINE = ("ndcg@10", "recall@20", "coverage@10")
SHOWN = ("ndcg@10", "recall@10", "recall@20", "mrr", "hr@10")
SEGMENT_METRICS = ("ndcg@10", "recall@20", "novelty@10")
_PEOPLE, _FILMS = 4, 5


def make_report(candidate: Candidate, judgement: Judgement) -> Report:
    """The report of one evaluated recommender and what the gate said of it."""
    evaluation, scores = load_evaluation(candidate.evaluated)
    manifest = candidate.bundle.manifest
    model = str(manifest.settings["model"])
    return Report(
        title=f"{manifest.name}: recommendations by {model}",
        subtitle=f"Pipeline run {candidate.run}",
        decision=judgement.decision,
        facts=[
            *run_facts(manifest, evaluation, judgement.champion),
            ("Model", f"{model} ({manifest.settings['contender']['kind']})"),
            ("Users measured", f"{len(scores):,}"),
        ],
        sections=[
            _ranking(evaluation, model),
            _variety(evaluation),
            *_segments(evaluation),
            _people(candidate, scores),
            _speed(evaluation),
            _data(candidate),
            settings("Configuration", dict(candidate.params)),
            settings("Libraries", dict(manifest.libraries)),
        ],
    )


def _ranking(evaluation: Evaluation, model: str) -> Section:
    found = evaluation.metrics
    baselines = dict.fromkeys(name.split(".")[0] for name in found if "." in name)
    series = {model: {name: found[name] for name in SHOWN}}
    for rule in baselines:
        label = rule if rule != model else f"{rule} (as a rule)"
        series[label] = {n: found[f"{rule}.{n}"] for n in SHOWN if f"{rule}.{n}" in found}
    return Section(
        "Ranking",
        "How well the films that users turned to next are found among all films that they had not "
        "seen; each user counts once. Rules were given the same events to count.",
        table=metric_table(series),
        figure=interval_figure(series, "Ranking metrics of the model and of the rules"),
    )


def _variety(evaluation: Evaluation) -> Section:
    share = evaluation.facts["coverage@10"]
    novelty = evaluation.metrics["novelty@10"].value
    return Section(
        "Variety",
        f"{share:.1%} of all films stand in somebody's first ten. A film that is shown is known to "
        f"{2.0**-novelty:.1%} of the users (novelty {novelty:.2f} bits).",
    )


def _segments(evaluation: Evaluation) -> list[Section]:
    return [
        Section(
            f"By {segment}",
            table=metric_table(by_segment(evaluation, segment, SEGMENT_METRICS), segment.title()),
        )
        for segment in evaluation.segments
    ]


def _people(candidate: Candidate, scores: "pd.DataFrame") -> Section:
    """What a few users of the holdout had seen last, are shown, and turned to."""
    holdout, predictor = read(candidate.evaluated), RecommendPredictor(candidate.bundle)
    rows = [_person(holdout, predictor, str(user)) for user in _some(scores)]
    return Section(
        "What some users are shown",
        f"The last {_FILMS} films before the cut, the first {_FILMS} recommended, and what they "
        "turned to.",
        table=Table(["User", "Seen last", "Recommended", "Turned to"], rows),
    )


def _some(scores: "pd.DataFrame") -> list[object]:
    """Users from the worst served to the best, the cold left out where there are others."""
    warm = scores[scores["known"] == "warm"]
    ranked = (warm if len(warm) else scores)["ndcg@10"].sort_values(kind="stable").index
    places = np.linspace(0, len(ranked) - 1, min(_PEOPLE, len(ranked))).astype(int)
    return [ranked[place] for place in places]


def _person(holdout: Holdout, predictor: RecommendPredictor, user: str) -> list[str]:
    number = holdout.train.user_ids.index(user)
    before = holdout.train.items[holdout.train.users == number]
    after = holdout.test.items[holdout.test.users == number]
    history = [holdout.train.item_ids[item] for item in before]
    shown = [one["title"] for one in predictor.recommend(history=history, k=_FILMS)]
    titles = predictor.catalogue.titles
    seen, next_ = (
        [titles.get(one, one) for one in ids]
        for ids in (history[-_FILMS:], [holdout.test.item_ids[item] for item in after[:_FILMS]])
    )
    return [user, "; ".join(seen), "; ".join(shown), "; ".join(next_)]


def _data(candidate: Candidate) -> Section:
    """How much of each table was used, and why the rest was not."""
    stored = json.loads((candidate.evaluated / TABLES).read_text("utf-8"))
    rows = [
        [one["table"], one["good"], one["bad"], "; ".join(one["failures"]), one["quarantine"]]
        for one in stored["tables"]
    ]
    by_month: Counter[str] = Counter()
    for key, count in stored["partitions"].items():
        by_month[key.partition("/")[0]] += count
    unknown = ", ".join(f"{name} ({n})" for name, n in stored["unknown_genres"].items())
    return Section(
        "Data",
        f"Events from {min(by_month)} to {max(by_month)}, by month."
        + (f" Genres taken for Other: {unknown}." if unknown else ""),
        table=Table(["Table", "Rows used", "Set aside", "Why", "Where"], rows),
        figure=bar_figure(dict(by_month), "Events by month"),
    )


def _speed(evaluation: Evaluation) -> Section:
    facts = evaluation.facts
    values = {
        "one user, median": facts["latency.one_user_p50_ms"],
        "one user, 95th percentile": facts["latency.one_user_p95_ms"],
    }
    return Section(
        "Speed",
        "Milliseconds for ten films for one user on this machine. All users at once: "
        f"{facts['users_per_second']:,.0f} users a second.",
        figure=bar_figure(values, "Latency", "ms"),
    )
