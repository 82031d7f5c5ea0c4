"""The folder of a new use case: what was inferred of its table, as YAML for a person to correct."""

import json
import re
from pathlib import Path

from lifecycle import atomic
from lifecycle.fingerprint import ROOT
from lifecycle.inference import Inferred
from lifecycle.tables import Column

_HEAD = """\
# Inferred from {file}: please check it.
# type: number, integer, boolean, category, text or time.
# role: feature (where none is named), target, id, time (when the row happened), label_time (when
#   its target became known), segment (reported by, not learnt from), ignored.
# Ignore what is not known yet when the model is asked: it would give the answer away.
# nullable: may be missing. min and max: what a number may be. max: now, for a time.
# values: all that a category may be; rows with others are set aside.
# unique: no two rows share it. sensitive: never shown, and encrypted at rest.
columns:
"""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
_KNOWN_POSITIVE = {"1", "true", "yes"}


def write_use_case(folder: Path, found: Inferred, source: Path) -> None:
    """Write ``__init__.py``, ``schema.yaml`` and ``classic.yaml``; all of them or none.

    Raises StorageError where the disk refuses.
    """
    with atomic.directory(folder) as made:
        (made / "__init__.py").write_text("")
        (made / "schema.yaml").write_text(schema_yaml(found, source.name), encoding="utf-8")
        text = classic_yaml(found, folder.name, source)
        (made / "classic.yaml").write_text(text, encoding="utf-8")


def schema_yaml(found: Inferred, file: str) -> str:
    lines = [_HEAD.format(file=file)]
    for name, column in found.schema.columns.items():
        note = found.notes.get(name, "")
        comment = f"  # {' '.join(note.split())}" if note else ""
        lines.append(f"  {scalar(name)}: {{{_fields(column)}}}{comment}\n")
    return "".join(lines)


def classic_yaml(found: Inferred, name: str, source: Path) -> str:
    path = source.relative_to(ROOT) if source.is_relative_to(ROOT) else source
    by = "time" if found.schema.time else "random"
    metric = "absolute_error" if found.problem == "regression" else "log_loss"
    positive = _positive(found)
    word = f"\n  positive: {scalar(positive)}  # the class that the score is the probability of"
    margin = "# allowed loss in the metric's own unit"
    return f"""\
title: {name.replace("_", " ").capitalize()}
problem: {found.problem}  # binary, multiclass or regression
source: {{kind: files, path: {scalar(str(path))}}}
split: {{by: {by}, test_share: 0.2}}  # by: time where rows have one, else random
learning:{word if positive else ""}
  tuning: {{trials: 20, seconds: 60}}
evaluation: {{segments: []}}  # columns to report by, such as a region
gate:
  rules:
    - {{rule: better_than_baseline, metric: {metric}, baseline: baseline.{metric}, \
higher_is_better: false}}
    {margin}
    - {{rule: no_worse_than_champion, metric: {metric}, value: {_margin(found)}, \
higher_is_better: false}}
"""


def scalar(text: str) -> str:
    """``text`` as YAML that is read as the same text."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


def _fields(column: Column) -> str:
    given = column.model_dump(exclude_defaults=True)
    given.setdefault("type", column.type)
    return ", ".join(f"{key}: {_value(given[key])}" for key in Column.model_fields if key in given)


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(scalar(str(one)) for one in value)}]"
    return scalar(value) if isinstance(value, str) else json.dumps(value)


def _positive(found: Inferred) -> str:
    """The class to look for where it is not plain: the last one in order."""
    values = found.schema.columns[found.schema.target].values
    if found.problem != "binary" or _KNOWN_POSITIVE.intersection(values):
        return ""
    return next((v for v in values if v.lower() in _KNOWN_POSITIVE), values[-1])


def _margin(found: Inferred) -> str:
    """0.02 of a log loss; a hundredth of the target's standard deviation."""
    return f"{found.spread / 100:.1g}" if found.problem == "regression" else "0.02"
