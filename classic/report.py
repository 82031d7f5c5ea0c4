"""Reports of the `classic` pipeline, by the kind of problem."""

from classic.recommend import report as recommend
from classic.tabular import report as tabular
from lifecycle.bundle import Manifest
from lifecycle.candidates import Judgement
from lifecycle.registration import Candidate
from lifecycle.report import Report


def headline(manifest: Manifest) -> tuple[str, ...]:
    """The metrics that stand beside a version where there is room for few."""
    if manifest.settings["problem"] == "recommendation":
        return recommend.HEADLINE
    return tabular.HEADLINES[manifest.settings["problem"]]


def algorithm(manifest: Manifest) -> str:
    """What kind of model it is, in a word."""
    return str(manifest.settings["model"])


def make_report(candidate: Candidate, judgement: Judgement) -> Report:
    """The report of one evaluated bundle and what the gate said of it."""
    if candidate.bundle.manifest.settings["problem"] == "recommendation":
        return recommend.make_report(candidate, judgement)
    return tabular.make_report(candidate, judgement)
