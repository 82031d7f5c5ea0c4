"""Payments that were never made, of which one knows which are fraud and why.

The model, for account a, merchant m of category c and region r, and time t in seconds:

- An account has a region, a level l_a = log(median_amount) + level_sigma·z, an activity
  exp(activity_sigma·z), an hour of the day h_a ~ N(15, 3), and a taste for categories: the general
  shares times exp(habit·z), scaled to sum to 1. Half of all accounts change their main device once.
- Each category and region has its merchants; the one in rank k of its popularity is chosen with
  weight k^-tail.
- A payment of the owner: an account by activity, a day at random, an hour ~ N(h_a, 3) around the
  clock; a category by taste; a merchant in the account's region with probability ``at_home``, else
  in another one; the main device in 4 of 5 payments, else the second one, and with probability
  ``strange_device`` one that is never seen again. log(amount) = l_a + log(factor of c) +
  amount_sigma·z, rounded to cents.
- Fraud is ``fraud_share`` of all payments. It comes in bursts: an account is robbed at most once,
  at a time drawn uniformly, by a pattern drawn by weight from those with ``from_day`` ≤ that day.
  So a pattern's first day is a change of what fraud looks like. A burst is Poisson(tests) payments
  of ``test_amount``·exp(0.4·z) in the first tenth of its hours and 1 + Poisson(payments − 1) others
  anywhere in it, with log(amount) = l_a + log(factor of c) + amount + amount_sigma·z, the last two
  of the pattern.
- A label arrives after label_days·exp(label_sigma·z) days, at most ``label_limit_days``: of a fraud
  as a chargeback, of another payment as a statement that its owner lets pass.

The truth of a payment is its pattern and burst, and the probability of fraud for one who knows
which accounts are held by a thief at the time, and nothing of the payment: k / (k + owner's
expected payments while the burst lasts), with k the payments of the burst; 0 outside bursts.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from usecases.fraud.exports import accounts_table, merchants_table, payments_table
from usecases.fraud.settings import SimulationConfig
from usecases.fraud.thieves import make_bursts, risk, thieves_payments
from usecases.fraud.world import Floats, Ints, make_accounts, make_merchants, owners_payments

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Truth:
    """Of each payment: ``pattern`` (its number in the configuration) and ``burst``, −1 for the
    owner's; ``probability`` of fraud as the docstring of the module has it."""

    pattern: Ints
    burst: Ints
    probability: Floats


@dataclass(frozen=True)
class Simulation:
    """Tables as a service exports them (see ``features.py``); payments are in order of time, and
    row j of ``truth`` is about payment j."""

    accounts: "pa.Table"
    merchants: "pa.Table"
    payments: "pa.Table"
    truth: Truth


def simulate(config: SimulationConfig) -> Simulation:
    """Raises ConfigError where there are too few accounts or merchants for what is asked."""
    random = np.random.default_rng(config.seed)
    accounts, merchants = make_accounts(config, random), make_merchants(config, random)
    bursts = make_bursts(config, random)
    fraud = thieves_payments(config, accounts, merchants, bursts, random)
    count = config.payments - len(fraud.time)
    paid = owners_payments(config, accounts, merchants, count, random).joined(fraud)
    paid = paid.take(np.argsort(paid.time, kind="stable"))
    return Simulation(
        accounts_table(config, accounts),
        merchants_table(config, merchants),
        payments_table(config, paid, random),
        Truth(paid.pattern, paid.burst, risk(config, accounts, bursts, paid)),
    )
