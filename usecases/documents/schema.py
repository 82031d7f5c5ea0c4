"""What a usable document is: some text with words in it, under a name that is there once."""

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
            "text": Column(str, Check.str_contains(r"\w"), description="needs a word"),
        },
        strict=False,
    )
