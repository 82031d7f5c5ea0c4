"""The simulated world as the tables that a payment service exports; see ``features.py``."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from lifecycle.errors import ConfigError
from usecases.fraud.settings import CATEGORIES, SimulationConfig
from usecases.fraud.world import DAY, Accounts, Ints, Merchants, Payments

if TYPE_CHECKING:
    import pyarrow as pa


def accounts_table(config: SimulationConfig, accounts: Accounts) -> "pa.Table":
    import pyarrow as pa

    return pa.table(
        {
            "account_id": _names("A", np.arange(config.accounts)),
            "opened": _times(config, accounts.opened // DAY * DAY),
            "home_region": _chosen(config.regions, accounts.region),
        }
    )


def merchants_table(config: SimulationConfig, merchants: Merchants) -> "pa.Table":
    import pyarrow as pa

    category, region = np.divmod(merchants.group, len(config.regions))
    return pa.table(
        {
            "merchant_id": _names("M", np.arange(config.merchants)),
            "category": _chosen(tuple(CATEGORIES), category),
            "region": _chosen(config.regions, region),
        }
    )


def payments_table(
    config: SimulationConfig, payments: Payments, random: np.random.Generator
) -> "pa.Table":
    import pyarrow as pa

    days = config.label_days * random.lognormal(0, config.label_sigma, len(payments.time))
    delay = (np.minimum(days, config.label_limit_days) * DAY).astype(np.int64)
    return pa.table(
        {
            "payment_id": _names("P", np.arange(len(payments.time))),
            "time": _times(config, payments.time),
            "account_id": _names("A", payments.account),
            "merchant_id": _names("M", payments.merchant),
            "device_id": _names("D", payments.device),
            "amount": np.maximum(0.01, np.round(payments.amount, 2)),
            "fraud": (payments.pattern >= 0).astype(np.int64),
            "label_time": _times(config, payments.time + delay),
        }
    )


def _names(letter: str, numbers: Ints) -> "pa.Array":
    import pyarrow as pa

    known, at = np.unique(numbers, return_inverse=True)
    return pa.array([f"{letter}{number:07}" for number in known.tolist()]).take(pa.array(at))


def _chosen(words: tuple[str, ...], at: Ints) -> "pa.Array":
    import pyarrow as pa

    return pa.array(words).take(pa.array(at))


def _times(config: SimulationConfig, seconds: Ints) -> "pa.Array":
    import pyarrow as pa

    return pa.array((seconds + _start(config)) * 1_000_000, pa.timestamp("us", "UTC"))


def _start(config: SimulationConfig) -> int:
    try:
        return int(datetime.fromisoformat(config.start).replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise ConfigError(f"start={config.start!r} is no day: {error}.") from error
