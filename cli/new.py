"""`run.py new usecase NAME --from FILE --target COLUMN`: a folder for a table of one's own."""

import argparse
from pathlib import Path

from cli.output import next_step, say
from lifecycle import usecases
from lifecycle.errors import UsageError
from lifecycle.inference import Inferred, infer
from lifecycle.intake import FilesConfig
from lifecycle.scaffold import write_use_case


def main(options: argparse.Namespace) -> int:
    folder = usecases.FOLDER / _name(options.name)
    if folder.exists():
        raise UsageError(f"usecases/{options.name} exists already.", "Take another name.")
    source = Path(options.source).expanduser().resolve()
    found = infer(FilesConfig(path=str(source)), Path.cwd(), options.target)
    write_use_case(folder, found, source)
    _tell(options.name, options.target, found)
    next_step(f"python run.py --pipeline classic --use-case {options.name}")
    return 0


def _name(name: str) -> str:
    """Raises UsageError for what cannot be imported."""
    if not name.isidentifier() or not name.isascii() or not name.islower():
        raise UsageError(
            f"{name!r} cannot name a use case.", "Use lower-case letters, digits and _."
        )
    return name


def _tell(name: str, target: str, found: Inferred) -> None:
    schema = found.schema
    say(f"{found.rows:,} rows of {len(schema.columns)} columns; {target} is {found.problem}.")
    say(f"  features      {len(schema.features)}")
    for label, names in (("ids", schema.ids), ("time", [schema.time] if schema.time else [])):
        if names:
            say(f"  {label:<13} {', '.join(names)}")
    for column, note in found.notes.items():
        say(f"  look at       {column}: {note}")
    say(f"Written: usecases/{name}/schema.yaml and classic.yaml. Correct them, then run.")
