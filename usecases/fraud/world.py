"""Accounts, merchants, and what owners pay; the formulas stand in ``simulate.py``."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import ConfigError
from usecases.fraud.settings import CATEGORIES, SimulationConfig

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
DAY, HOUR = 86_400, 3_600
DEVICES = 3  # of an account: the main one before and after its change, and the second one
_USUAL_HOUR, _HOUR_SIGMA, _MAIN_DEVICE = 15.0, 3.0, 0.8
_SHARES, FACTORS = (np.array(column) for column in zip(*CATEGORIES.values(), strict=True))


@dataclass(frozen=True)
class Accounts:
    """``taste`` (accounts, categories): rows summing to 1; ``activity`` sums to 1; ``opened`` and
    ``device_change``: seconds since the start, the first below 0."""

    region: Ints
    level: Floats
    hour: Floats
    taste: Floats
    activity: Floats
    opened: Ints
    device_change: Ints


@dataclass(frozen=True)
class Merchants:
    """In order of ``group``, which is category × regions + region; ``weight``: popularity."""

    group: Ints
    weight: Floats

    def draw(self, group: Ints, popular: NDArray[np.bool_], random: np.random.Generator) -> Ints:
        """A merchant of each ``group``: by weight where ``popular``, else any."""
        first = np.searchsorted(self.group, group, "left")
        last = np.searchsorted(self.group, group, "right")
        total = np.concatenate([[0.0], np.cumsum(self.weight)])
        point = total[first] + random.random(len(group)) * (total[last] - total[first])
        by_weight = np.clip(np.searchsorted(total, point, "right") - 1, first, last - 1)
        return np.where(popular, by_weight, random.integers(first, last))


@dataclass(frozen=True)
class Payments:
    """``time``: seconds since the start; ``pattern`` and ``burst``: −1 for the owner's."""

    account: Ints
    merchant: Ints
    device: Ints
    time: Ints
    amount: Floats
    pattern: Ints
    burst: Ints

    def take(self, rows: Ints) -> "Payments":
        return Payments(**{name: values[rows] for name, values in vars(self).items()})

    def joined(self, other: "Payments") -> "Payments":
        pairs = {name: (values, getattr(other, name)) for name, values in vars(self).items()}
        return Payments(**{name: np.concatenate(pair) for name, pair in pairs.items()})


def make_accounts(config: SimulationConfig, random: np.random.Generator) -> Accounts:
    count, span = config.accounts, config.days * DAY
    taste = _SHARES * np.exp(config.habit * random.standard_normal((count, len(CATEGORIES))))
    activity = random.lognormal(0, config.activity_sigma, count)
    return Accounts(
        random.integers(0, len(config.regions), count),
        np.log(config.median_amount) + config.level_sigma * random.standard_normal(count),
        random.normal(_USUAL_HOUR, _HOUR_SIGMA, count),
        taste / taste.sum(axis=1, keepdims=True),
        activity / activity.sum(),
        -random.integers(DAY, 3_000 * DAY, count),
        random.integers(0, 2 * span, count),
    )


def make_merchants(config: SimulationConfig, random: np.random.Generator) -> Merchants:
    """Raises ConfigError where a category and region would have none."""
    groups = len(CATEGORIES) * len(config.regions)
    if config.merchants < groups:
        raise ConfigError(
            f"{config.merchants:,} merchants are too few for {groups} pairs of category and region."
        )
    group = np.sort(np.arange(config.merchants) % groups)
    mixed = random.permutation(config.merchants)
    mixed = mixed[np.argsort(group[mixed], kind="stable")]
    rank = mixed - np.searchsorted(group, group) + 1.0
    return Merchants(group, np.power(rank, -config.tail, dtype=np.float64))


def owners_payments(
    config: SimulationConfig,
    accounts: Accounts,
    merchants: Merchants,
    count: int,
    random: np.random.Generator,
) -> Payments:
    account = random.choice(config.accounts, count, p=accounts.activity)
    hour = random.normal(accounts.hour[account], _HOUR_SIGMA) % 24
    time = random.integers(0, config.days, count) * DAY + (hour * HOUR).astype(np.int64)
    category = tasted(accounts, account, random)
    away = random.random(count) >= config.at_home
    region = travelled(config, accounts.region[account], away, random)
    group = category * len(config.regions) + region
    none = np.full(count, -1)
    return Payments(
        account,
        merchants.draw(group, np.ones(count, dtype=bool), random),
        _devices(config, accounts, account, time, random),
        time,
        amounts(accounts, account, category, config.amount_sigma, random),
        none,
        none,
    )


def tasted(accounts: Accounts, account: Ints, random: np.random.Generator) -> Ints:
    """A category for each of ``account``, by its taste."""
    reached = np.cumsum(accounts.taste, axis=1)[account]
    drawn = random.random((len(account), 1)) * reached[:, -1:]
    return np.asarray((reached <= drawn).sum(axis=1))


def travelled(
    config: SimulationConfig, home: Ints, away: NDArray[np.bool_], random: np.random.Generator
) -> Ints:
    """``home``, or another region where ``away``."""
    count = len(config.regions)
    return np.asarray((home + away * random.integers(1, count, len(home))) % count)


def amounts(
    accounts: Accounts,
    account: Ints,
    category: Ints,
    sigma: Floats | float,
    random: np.random.Generator,
) -> Floats:
    """Around the account's level for the category, unrounded."""
    noise = sigma * random.standard_normal(len(account))
    return np.asarray(np.exp(accounts.level[account] + noise) * FACTORS[category])


def _devices(
    config: SimulationConfig,
    accounts: Accounts,
    account: Ints,
    time: Ints,
    random: np.random.Generator,
) -> Ints:
    """Numbers of devices; those from ``first_strange`` on are seen once."""
    main = random.random(len(account)) < _MAIN_DEVICE
    changed = time >= accounts.device_change[account]
    usual = account * DEVICES + np.where(main, changed, DEVICES - 1)
    strange = random.random(len(account)) < config.strange_device
    return np.where(strange, first_strange(config) + np.arange(len(account)), usual)


def first_strange(config: SimulationConfig) -> int:
    """Devices before it: of the accounts, of the rings, and one for each account's thief."""
    return config.accounts * (DEVICES + 1) + config.ring_devices
