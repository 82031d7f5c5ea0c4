"""Bursts of fraud, and the payments in them; the formulas stand in ``simulate.py``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import ConfigError
from usecases.fraud.settings import CATEGORIES, Pattern, SimulationConfig
from usecases.fraud.world import (
    DAY,
    DEVICES,
    HOUR,
    Accounts,
    Floats,
    Ints,
    Merchants,
    Payments,
    amounts,
    tasted,
    travelled,
)

_NIGHT = 5  # hours
_TEST_SIGMA = 0.4


@dataclass(frozen=True)
class Bursts:
    """Of each burst: ``size`` payments on ``account`` from ``start``, in seconds since the start of
    the simulation, for ``length`` seconds; ``tests`` of them come first and are small."""

    account: Ints
    pattern: Ints
    start: Ints
    length: Ints
    tests: Ints
    size: Ints


def make_bursts(config: SimulationConfig, random: np.random.Generator) -> Bursts:
    """Bursts of ``fraud_share`` of all payments. Raises ConfigError where accounts are too few."""
    fraud = round(config.fraud_share * config.payments)
    if fraud > config.accounts:
        raise ConfigError(
            f"{fraud:,} fraudulent payments may need as many of the {config.accounts:,} accounts.",
            "Ask for more accounts, or for a lower fraud_share.",
        )
    account = random.permutation(config.accounts)[:fraud]
    day = random.integers(0, config.days, fraud)
    pattern = _patterns(config.patterns, day, random)
    of = _each(config.patterns, pattern)
    hour = np.where(of("night"), _NIGHT, 24) * random.random(fraud)
    tests = random.poisson(of("tests"))
    size = tests + 1 + random.poisson(of("payments") - 1)
    length = (of("hours") * HOUR).astype(np.int64)
    start = day * DAY + (hour * HOUR).astype(np.int64)
    start = np.clip(start, 0, np.maximum(0, config.days * DAY - 1 - length))
    before = np.cumsum(size) - size
    bursts = Bursts(account, pattern, start, length, tests, np.minimum(size, fraud - before))
    return Bursts(**{name: values[before < fraud] for name, values in vars(bursts).items()})


def thieves_payments(
    config: SimulationConfig,
    accounts: Accounts,
    merchants: Merchants,
    bursts: Bursts,
    random: np.random.Generator,
) -> Payments:
    burst = np.repeat(np.arange(len(bursts.size)), bursts.size)
    place = np.arange(len(burst)) - (np.cumsum(bursts.size) - bursts.size)[burst]
    test = place < bursts.tests[burst]
    account, pattern = bursts.account[burst], bursts.pattern[burst]
    of = _each(config.patterns, pattern)
    category = _categories(config.patterns, accounts, account, pattern, random)
    away = random.random(len(burst)) < of("abroad")
    region = travelled(config, accounts.region[account], away, random)
    length = np.where(test, 0.1, 1.0) * bursts.length[burst]
    large = np.exp(of("amount")) * amounts(accounts, account, category, of("amount_sigma"), random)
    small = config.test_amount * random.lognormal(0, _TEST_SIGMA, len(burst))
    return Payments(
        account,
        merchants.draw(category * len(config.regions) + region, ~of("tail"), random),
        _devices(config, account, of("device"), burst, random),
        bursts.start[burst] + (random.random(len(burst)) * length).astype(np.int64),
        np.where(test, small, large),
        pattern,
        burst,
    )


def risk(config: SimulationConfig, accounts: Accounts, bursts: Bursts, paid: Payments) -> Floats:
    """Probability of fraud for one who knows which accounts are held by a thief, and when."""
    size, length = np.zeros(config.accounts), np.zeros(config.accounts)
    start = np.full(config.accounts, config.days * DAY)
    size[bursts.account], length[bursts.account] = bursts.size, bursts.length
    start[bursts.account] = bursts.start
    since = paid.time - start[paid.account]
    held = (since >= 0) & (since <= length[paid.account])
    owners = (1 - config.fraud_share) * config.payments * accounts.activity / (config.days * DAY)
    expected = (owners * length)[paid.account]
    thiefs = size[paid.account]
    return np.where(held, thiefs / np.where(held, thiefs + expected, 1), 0.0)


def _patterns(patterns: tuple[Pattern, ...], day: Ints, random: np.random.Generator) -> Ints:
    """The number of a pattern for each day, of those that there are by then."""
    first = np.array([pattern.from_day for pattern in patterns])
    weight = np.array([pattern.weight for pattern in patterns])
    reached = np.cumsum(weight * (first <= day[:, None]), axis=1)
    drawn = random.random((len(day), 1)) * reached[:, -1:]
    return np.asarray((reached <= drawn).sum(axis=1))


def _each(patterns: tuple[Pattern, ...], at: Ints) -> Callable[[str], NDArray[Any]]:
    """A field of the patterns ``at``, by its name."""
    return lambda field: np.array([getattr(pattern, field) for pattern in patterns])[at]


def _categories(
    patterns: tuple[Pattern, ...],
    accounts: Accounts,
    account: Ints,
    pattern: Ints,
    random: np.random.Generator,
) -> Ints:
    names, chosen = list(CATEGORIES), tasted(accounts, account, random)
    for number, one in enumerate(patterns):
        liked = np.array([names.index(name) for name in one.categories], dtype=np.int64)
        rows = np.flatnonzero(pattern == number)
        if len(liked):
            chosen[rows] = random.choice(liked, len(rows))
    return chosen


def _devices(
    config: SimulationConfig,
    account: Ints,
    device: NDArray[np.str_],
    burst: Ints,
    random: np.random.Generator,
) -> Ints:
    """The owner's main device, one of the thief's own, or one of the ring's."""
    rings = config.accounts * (DEVICES + 1)
    ring = rings + random.integers(0, config.ring_devices, burst.max(initial=0) + 1)[burst]
    thiefs = config.accounts * DEVICES + account
    return np.select([device == "ring", device == "new"], [ring, thiefs], account * DEVICES)
