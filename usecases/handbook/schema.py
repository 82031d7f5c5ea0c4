"""The handbook's documents: long enough to answer something, each under a name of its own."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema


def schema() -> "DataFrameSchema":
    from pandera.pandas import Check, Column, DataFrameSchema

    return DataFrameSchema(
        {
            "uri": Column(str, Check.str_length(min_value=1), unique=True),
            "doc_id": Column(str, Check.str_matches(r"^[0-9a-f]{64}$")),
            "title": Column(str, Check.str_length(min_value=1)),
            "text": Column(str, Check.str_length(min_value=80)),
        },
        strict=False,
    )
