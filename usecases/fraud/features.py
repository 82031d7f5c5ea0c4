"""Payments with what was known before each of them, through DuckDB.

A window of an hour holds the payments from 3,600 seconds to 1 second before: a payment sees neither
itself, nor another in its own second, nor anything later. A fraud is known of from the second after
its ``label_time`` on. Amounts are summed in cents, so that sums do not depend on their order.

Tables in, as a service exports them:

- accounts: account_id, opened (time), home_region
- merchants: merchant_id, category, region
- payments: payment_id, time, account_id, merchant_id, device_id, amount, fraud (0 or 1), label_time
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

SPANS = {"1h": 3_600, "1d": 86_400, "7d": 604_800}
SMALL_AMOUNT = 3.0
ENTITIES = ("account", "merchant", "device")

# What cannot be read as its type becomes missing, which the schema sets aside.
_JOINED = """
    CREATE TEMP TABLE joined AS
    WITH paid AS (
        SELECT row_number() OVER () AS row, payment_id, account_id, merchant_id, device_id,
            TRY_CAST(time AS TIMESTAMPTZ) AS time, TRY_CAST(amount AS DOUBLE) AS amount,
            TRY_CAST(fraud AS BIGINT) AS fraud, TRY_CAST(label_time AS TIMESTAMPTZ) AS label_time
        FROM payments
    ),
    account AS (
        SELECT DISTINCT ON (account_id) account_id, home_region,
            TRY_CAST(opened AS TIMESTAMPTZ) AS opened
        FROM accounts ORDER BY ALL
    ),
    merchant AS (
        SELECT DISTINCT ON (merchant_id) merchant_id, category, region FROM merchants ORDER BY ALL
    )
    SELECT payment_id, time, account_id, merchant_id, device_id, amount, fraud, label_time,
        category, region, home_region, row,
        epoch_us(time) // 1000000 AS second,
        TRY_CAST(round(amount * 100) AS BIGINT) AS cents,
        extract(hour FROM time) AS hour,
        isodow(time) AS weekday,
        region <> home_region AS abroad,
        date_diff('day', opened, time) AS account_age_days
    FROM paid LEFT JOIN account USING (account_id) LEFT JOIN merchant USING (merchant_id)
"""

# A label is an event of its own, which payments after it see; never before the payment it is about.
_KNOWN = """
    SELECT row, seen AS {entity}_known_frauds FROM (
        SELECT row, coalesce(sum(label) OVER (
            PARTITION BY entity ORDER BY second
            RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::BIGINT AS seen
        FROM (
            SELECT row, {entity}_id AS entity, second, 0 AS label FROM joined
            UNION ALL
            SELECT NULL, {entity}_id, greatest(second, epoch_us(label_time) // 1000000), 1
            FROM joined
            WHERE fraud = 1 AND label_time IS NOT NULL
        )
    ) WHERE row IS NOT NULL
"""


def build(connection: "duckdb.DuckDBPyConnection") -> "pa.Table":
    """One row a payment in order of time, from the relations ``accounts``, ``merchants`` and
    ``payments`` of ``connection``; the columns are those of ``schema.yaml``.

    A payment whose account or merchant is unknown has no category or region.
    """
    import pyarrow as pa

    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(_JOINED)
    known = "".join(f" JOIN ({_KNOWN.format(entity=entity)}) USING (row)" for entity in ENTITIES)
    selected = ",\n".join(f"{sql} AS {name}" for name, sql in _windows().items())
    frames = ",\n".join(f"{name} AS ({sql})" for name, sql in _frames().items())
    table = connection.sql(f"""
        SELECT * EXCLUDE (row, second, cents) FROM (
            SELECT joined.*, {selected} FROM joined WINDOW {frames}
        ) {known}
        ORDER BY time, row
    """).to_arrow_table()
    for name in ("time", "label_time"):
        cast = table[name].cast(pa.timestamp("us", "UTC"))
        table = table.set_column(table.column_names.index(name), name, cast)
    return table


def _frames() -> dict[str, str]:
    before = {"ever": "UNBOUNDED"} | {name: str(seconds) for name, seconds in SPANS.items()}
    frames = {
        f"{entity}_{name}": f"PARTITION BY {entity}_id ORDER BY second "
        f"RANGE BETWEEN {start} PRECEDING AND 1 PRECEDING"
        for entity in ENTITIES
        for name, start in before.items()
    }
    for entity in ("merchant", "device"):
        frames[f"pair_{entity}"] = (
            f"PARTITION BY account_id, {entity}_id ORDER BY second "
            "RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
        )
    return frames


def _windows() -> dict[str, str]:
    found = {}
    for entity in ENTITIES:
        for name in SPANS:
            over = f"OVER {entity}_{name}"
            found[f"{entity}_count_{name}"] = f"count(*) {over}"
            found[f"{entity}_sum_{name}"] = f"coalesce(sum(cents) {over}, 0)::DOUBLE / 100"
    small = f"amount <= {SMALL_AMOUNT}"
    return found | {
        "account_small_1d": f"count(*) FILTER ({small}) OVER account_1d",
        "account_merchants_1d": "count(DISTINCT merchant_id) OVER account_1d",
        "device_accounts_7d": "count(DISTINCT account_id) OVER device_7d",
        "seconds_since_previous": "second - max(second) OVER account_ever",
        "amount_against_mean": "cents * count(*) OVER account_ever"
        " / nullif(sum(cents) OVER account_ever, 0)::DOUBLE",
        "new_device": "count(*) OVER pair_device = 0",
        "device_seconds": "second - min(second) OVER pair_device",
        "new_merchant": "count(*) OVER pair_merchant = 0",
    }
