"""The report is one page that loads nothing, escapes everything, and says what was decided."""

import math
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.evaluation import Evaluation, Interval
from lifecycle.figures import bar_figure, histogram_figure, interval_figure
from lifecycle.gate import Decision, Rule, RuleResult
from lifecycle.report import (
    Report,
    Section,
    Table,
    by_prefix,
    by_segment,
    cell_text,
    metric_table,
    render,
)

NAN = math.nan
RETRIEVAL = {
    "lexical": {"ndcg@10": Interval(0.61, 0.55, 0.67, 120), "mrr": Interval(0.5, 0.4, 0.6, 120)},
    "hybrid": {"ndcg@10": Interval(0.71, 0.66, 0.76, 120), "mrr": Interval(NAN, NAN, NAN, 0)},
}
RULE = Rule(rule="min", metric="m")
VOID = {"meta", "link"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def decision(*passed: bool) -> Decision:
    results = [RuleResult(RULE, ok, f"rule {n} is {ok}.") for n, ok in enumerate(passed)]
    return Decision(tuple(results))


def page(*sections: Section, decided: Decision | None = None) -> Page:
    facts = [("Data version", "3f9c2a71d07be455")]
    return Page(render(Report("handbook, version 4", "RAG index", decided, facts, sections)))


def svgs(figure: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", figure, re.DOTALL)]


def test_the_page_says_what_was_made_and_on_which_data() -> None:
    words = page(Section("Retrieval", "First.\n\nSecond.")).words
    assert "handbook, version 4" in words
    assert "Data version 3f9c2a71d07be455" in words
    assert "Retrieval First. Second." in words


def test_a_refusal_stands_at_the_top_with_its_reasons_first() -> None:
    words = page(Section("Retrieval"), decided=decision(True, False, True)).words
    assert "Refused: 1 of 3 rules of the gate fails" in words
    assert words.index("rule 1 is False.") < words.index("rule 0 is True.")


@pytest.mark.parametrize(
    ("decided", "headline"),
    [
        (decision(True, True), "Passed: all 2 rules of the gate hold"),
        (decision(True), "Passed: the rule of the gate holds"),
        (decision(False, False), "Refused: 2 of 2 rules of the gate fail"),
        (decision(), "Passed: the gate has no rules"),
    ],
)
def test_the_headline_counts_the_rules(decided: Decision, headline: str) -> None:
    assert headline in page(decided=decided).words


def test_a_report_without_a_decision_claims_none() -> None:
    words = page(Section("Retrieval")).words
    assert "Passed" not in words
    assert "Refused" not in words


def test_nothing_is_loaded_from_anywhere_and_nothing_runs() -> None:
    figure = interval_figure(RETRIEVAL, "Retrieval")
    html = render(Report("t", "s", decision(True), [], [Section("R", figure=figure)]))
    found = Page(html)
    assert not {"script", "iframe", "object", "img"} & set(found.tags)
    for _, name, value in found.attributes:
        if name in {"href", "src", "xlink:href"}:
            assert value.startswith(("#", "data:"))
    assert "default-src 'none'" in html
    assert "@import" not in html
    assert not re.findall(r"url\((?!#)", html)


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20))
def test_any_text_is_shown_as_text(text: str) -> None:
    hostile = f"<script>&'\"{text}"
    table = Table([hostile, "n"], [[hostile, 1]])
    wordy = Table([hostile, "b"], [["q" * 70, hostile]])
    decided = Decision((RuleResult(RULE, False, hostile),))
    sections = [Section(hostile, hostile, table, code=hostile), Section("W", table=wordy)]
    found = Page(render(Report(hostile, hostile, decided, [(hostile, hostile)], sections)))
    assert "script" not in found.tags
    assert "".join("".join(found.text).split()).count("".join(hostile.split())) >= 11


def test_numbers_and_intervals_are_set_right_and_missing_values_are_dashes() -> None:
    table = Table(["name", "score", "n", "ok"], [["a", 0.5, 1_234, True], ["b", None, NAN, False]])
    assert table.right == [False, True, True, False]
    words = page(Section("T", table=table)).words
    assert "a 0.500 1,234 yes b — — no" in words


def test_a_column_can_be_named_numeric() -> None:
    assert Table(["time"], [["12 ms"]], frozenset({"time"})).right == [True]


def test_numbers_of_numpy_are_numbers() -> None:
    cells = [np.float64(0.25), np.int64(1_000), np.bool_(True)]
    assert [cell_text(cell) for cell in cells] == ["0.250", "1,000", "yes"]  # type: ignore[arg-type]


def test_a_row_that_does_not_fit_its_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="1 cells for the columns a, b"):
        Table(["a", "b"], [["x"]])


def test_a_table_of_long_texts_becomes_a_list_of_records() -> None:
    answer = "An answer that would not fit into a narrow column of a table, for sure."
    table = Table(["Question", "Answer", "nDCG@10"], [["What?", answer, 0.25]])
    found = page(Section("Worst questions", table=table))
    assert "table" not in found.tags
    assert f"What? Answer {answer} nDCG@10 0.250" in found.words


def test_folded_sections_open_on_demand() -> None:
    found = page(Section("Configuration", code="k: 8", folded=True))
    assert "details" in found.tags
    assert "k: 8" in found.words


def test_sections_of_the_same_name_have_anchors_of_their_own() -> None:
    found = page(Section("A"), Section("A"))
    ids = [value for _, name, value in found.attributes if name == "id"]
    links = [value for tag, name, value in found.attributes if (tag, name) == ("a", "href")]
    assert links == [f"#{one}" for one in ids]
    assert len(set(ids)) == 2


def test_metrics_stand_side_by_side_with_their_intervals() -> None:
    table = metric_table(RETRIEVAL)
    assert list(table.columns) == ["Metric", "lexical", "hybrid", "Examples"]
    assert table.rows[0] == ["ndcg@10", *(one["ndcg@10"] for one in RETRIEVAL.values()), 120]
    assert table.rows[1][3] == "120 / 0"
    words = page(Section("Retrieval", table=table)).words
    assert "ndcg@10 0.610 0.550–0.670 0.710 0.660–0.760 120" in words
    assert "mrr 0.500 0.400–0.600 — 120 / 0" in words


def test_a_metric_that_a_series_lacks_stays_blank() -> None:
    one, two = Interval(0.1, 0, 0.2, 5), Interval(0.3, -0.1, 0.4, 5)
    table = metric_table({"new": {"a": one}, "champion": {"b": two}}, "Score")
    assert table.rows == [["a", one, None, 5], ["b", None, two, 5]]
    assert "-0.100 to 0.400" in page(Section("S", table=table)).words


def test_an_evaluation_is_laid_out_by_prefix_and_by_segment() -> None:
    metrics = {
        f"{mode}.{name}": one for mode, all_ in RETRIEVAL.items() for name, one in all_.items()
    }
    evaluation = Evaluation("h", metrics, {"topic": {"types": metrics, "other": {}}})
    assert by_prefix(evaluation, ["lexical", "hybrid"]) == RETRIEVAL
    assert by_segment(evaluation, "topic", ["hybrid.mrr"]) == {
        "hybrid.mrr": {"types": metrics["hybrid.mrr"]}
    }
    assert by_segment(evaluation, "nothing", ["hybrid.mrr"]) == {"hybrid.mrr": {}}


FIGURES = {
    "intervals": interval_figure(RETRIEVAL, "Retrieval"),
    "bars": bar_figure({"embed": 7.9, "search": 0.34, "broken": NAN}, "Latency", "ms"),
    "histogram": histogram_figure({"yes": [0.1, 0.9, NAN], "no": [0.2]}, "Confidence", "value"),
}


@pytest.mark.parametrize("kind", FIGURES)
def test_a_figure_is_drawn_for_wide_and_for_narrow_pages(kind: str) -> None:
    wide, narrow = svgs(FIGURES[kind])
    assert (wide.get("class"), narrow.get("class")) == ("wide", "narrow")
    assert wide.get("viewBox", "").startswith("0 0 860 ")
    assert narrow.get("viewBox", "").startswith("0 0 340 ")
    assert wide.get("aria-label") in {"Retrieval", "Latency", "Confidence"}


@pytest.mark.parametrize("kind", FIGURES)
def test_a_figure_takes_its_colours_and_fonts_from_the_page(kind: str) -> None:
    assert "var(--series-1)" in FIGURES[kind]
    assert not re.findall(r"#0[a14]0[01]0\d", FIGURES[kind])
    assert "DejaVu" not in FIGURES[kind]


def test_ids_are_unique_across_the_figures_of_a_page() -> None:
    found = page(*(Section(kind, figure=figure) for kind, figure in FIGURES.items()))
    ids = Counter(value for _, name, value in found.attributes if name == "id")
    assert max(ids.values()) == 1
    references = re.findall(r'(?:url\(|href=")#([^")]+)', "".join(FIGURES.values()))
    assert references
    assert set(references) <= set(ids)


def test_a_figure_shows_names_and_values_as_text() -> None:
    words = " ".join("".join(element.itertext()) for element in svgs(FIGURES["bars"]))
    assert "embed" in words
    assert "7.9 ms" in words
    assert "0.34 ms" in words
    assert "broken" not in words


def test_the_same_figure_is_drawn_the_same_again() -> None:
    assert interval_figure(RETRIEVAL, "Retrieval") == FIGURES["intervals"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["$10-$20", "<b>&", "語学", "العربية", "x" * 90, ""])
def test_any_name_can_label_a_figure(name: str) -> None:
    wide, narrow = svgs(interval_figure({name: {name: Interval(0.5, 0.4, 0.6, 9)}}, name))
    assert wide.get("aria-label") == name
    assert name[:17] in "".join(narrow.itertext())


@pytest.mark.filterwarnings("error")
def test_figures_of_nothing_are_drawn_empty() -> None:
    for figure in (
        interval_figure({}, "n"),
        interval_figure({"a": {"m": Interval(NAN, NAN, NAN, 0)}}, "n"),
        bar_figure({}, "n"),
        histogram_figure({}, "n"),
        histogram_figure({"a": [NAN]}, "n"),
    ):
        assert len(svgs(figure)) == 2


def test_an_interval_without_bounds_is_a_dot() -> None:
    figure = interval_figure({"a": {"m": Interval(0.5, NAN, NAN, 1)}}, "n")
    assert len(svgs(figure)) == 2


def test_drawing_leaves_no_trace_in_matplotlib() -> None:
    code = (
        "import sys, matplotlib\n"
        "from lifecycle.figures import bar_figure\n"
        "kept = ('font.family', 'svg.fonttype', 'text.parse_math', 'axes.edgecolor')\n"
        "before = [matplotlib.rcParams[name] for name in kept]\n"
        "bar_figure({'a': 1.0}, 'n')\n"
        "assert [matplotlib.rcParams[name] for name in kept] == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_lifecycle_loads_no_heavy_library() -> None:
    code = (
        "import sys\n"
        "import lifecycle.data, lifecycle.validation, lifecycle.gate, lifecycle.report\n"
        "import lifecycle.figures\n"
        "heavy = {'pandas', 'pyarrow', 'duckdb', 'pandera', 'matplotlib', 'jinja2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
