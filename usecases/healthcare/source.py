"""Patients with a breast mass: measurements from the laboratory, records from the clinics.

``measurements`` is a CSV file with the patient number and 30 numbers from a digitised fine needle
aspirate. ``records`` is a JSON export of the clinics' system, ``{"records": [{"patient_number":
…, "name": …, "date_of_birth": …, "clinic": …, "diagnosis": …}]}``. Without paths both are made, in
memory: the measurements and diagnoses of Wolberg, Street and Mangasarian (1995, UCI, packaged with
scikit-learn) with invented patients. Only protected values are written, and no error or sentence
shows a value.
"""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import sources
from lifecycle.config import Frozen, build
from lifecycle.errors import ConfigError, InvalidDataError, SourceError
from lifecycle.privacy import write_protected
from lifecycle.stages import TABLE
from lifecycle.tables import TableSchema, read_schema
from usecases.healthcare import patients

if TYPE_CHECKING:
    import pandas as pd

NUMBER = "patient_number"
RECORD = (NUMBER, "name", "date_of_birth", "clinic", "diagnosis")
_PLACES = 5


class Options(Frozen):
    """Paths count from the project's folder. ``seed`` is for the invented patients."""

    measurements: str = ""
    records: str = ""
    seed: int = 0


def load(options: Mapping[str, Any], root: Path, out: Path) -> str:
    """Join both files on the patient number into ``out/table.parquet``, protected.

    Rows without a partner are left out and counted. Raises SourceError for a file that cannot be
    read, InvalidDataError where one lacks a column or has a patient twice.
    """
    import pyarrow as pa

    chosen = _options(options)
    csv, export = _files(chosen, root)
    schema = read_schema(Path(__file__).parent / "schema.yaml")
    measured, recorded = _measurements(csv, schema), _records(export)
    joined = recorded.merge(measured, on=NUMBER, how="inner", validate="one_to_one")
    if joined.empty:
        raise InvalidDataError(
            f"none of {len(measured):,} measurements has a record with its patient number.",
            f"Check that {NUMBER} is written the same way in both files.",
        )
    table = joined.rename(columns={NUMBER: "patient_id"})[list(schema.columns)]
    write_protected(pa.Table.from_pandas(table, preserve_index=False), schema, out / TABLE)
    return _sentence(len(joined), len(measured), len(recorded), not chosen.records)


def digest(options: Mapping[str, Any], root: Path) -> str:
    """Of both files; empty where they are made."""
    chosen = _options(options)
    if not chosen.records:
        return ""
    return sources.digest(
        sources.RawFile(name, data)
        for name, data in zip(("measurements", "records"), _files(chosen, root), strict=True)
    )


def _options(options: Mapping[str, Any]) -> Options:
    chosen = build(Options, options, "source.options")
    if bool(chosen.measurements) != bool(chosen.records):
        raise ConfigError(
            "source.options names one of measurements and records.",
            "Name both, or none for the packaged data.",
        )
    return chosen


def _files(chosen: Options, root: Path) -> tuple[bytes, bytes]:
    if not chosen.records:
        return patients.exports(chosen.seed)
    return _read(chosen.measurements, root), _read(chosen.records, root)


def _read(path: str, root: Path) -> bytes:
    try:
        return (root / Path(path).expanduser()).read_bytes()
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error.strerror} (looked in {root}).",
            "Name files that exist: --set source.options.records=PATH.",
        ) from error


def _measurements(data: bytes, schema: TableSchema) -> "pd.DataFrame":
    """The CSV's cells as text, as they came."""
    import pandas as pd

    try:
        frame = pd.read_csv(io.BytesIO(data), dtype=str, skipinitialspace=True)
    except (ValueError, pd.errors.ParserError):
        # Neither here nor below with its cause, which quotes the file.
        raise SourceError("the measurements are no CSV file in UTF-8.") from None
    return _with_numbers(frame, (NUMBER, *schema.features), "measurements")


def _records(data: bytes) -> "pd.DataFrame":
    import pandas as pd

    remedy = 'Expected: {"records": [{"patient_number": …}]}.'
    try:
        tree = json.loads(data)
    except ValueError:
        raise SourceError("the records are no JSON file in UTF-8.", remedy) from None
    found = tree.get("records") if isinstance(tree, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise SourceError("the records are JSON of another shape.", remedy)
    rows = [{key: _text(one.get(key)) for key in RECORD} for one in found]
    return _with_numbers(pd.DataFrame(rows, columns=list(RECORD), dtype="str"), RECORD, "records")


def _text(value: object) -> str | None:
    return None if value is None else str(value).strip() or None


def _with_numbers(frame: "pd.DataFrame", columns: tuple[str, ...], name: str) -> "pd.DataFrame":
    """The rows with a patient number, which must be there once.

    A file without a header has values in its place: the columns that are there are not named.
    """
    missing = [column for column in columns if column not in frame]
    if missing:
        raise InvalidDataError(
            f"{name} lacks {', '.join(missing[:_PLACES])}{', …' * (len(missing) > _PLACES)}.",
            "The first line of the CSV names the columns, with commas between them.",
        )
    numbers = frame[NUMBER].str.strip()
    again = numbers.notna() & numbers.duplicated(keep=False)
    if again.any():
        places = [f"{place + 1:,}" for place in again.to_numpy().nonzero()[0][:_PLACES]]
        raise InvalidDataError(
            f"{name}: {numbers[again].nunique():,} patient numbers stand more than once, such as "
            f"in rows {', '.join(places)} (their values are not shown).",
            "Leave one row for each patient.",
        )
    return frame.assign(**{NUMBER: numbers})[numbers.notna() & (numbers != "")][list(columns)]


def _sentence(joined: int, measured: int, recorded: int, made: bool) -> str:
    source = "invented patients with the packaged measurements" if made else "patients"
    left = [
        f"{count:,} {what}"
        for count, what in (
            (measured - joined, "measurements without a record"),
            (recorded - joined, "records without measurements"),
        )
        if count
    ]
    return f"{joined:,} {source}" + (f"; left out: {' and '.join(left)}" if left else "")
