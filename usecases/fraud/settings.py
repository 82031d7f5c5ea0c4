"""What the simulated payments are made from; ``simulate.py`` says how."""

from typing import Literal, Self

from pydantic import Field, model_validator

from lifecycle.config import Frozen

# Category: how often paid for, and the median amount against an account's own level.
CATEGORIES = {
    "groceries": (0.26, 1.0),
    "restaurants": (0.17, 0.9),
    "transport": (0.14, 0.25),
    "clothing": (0.08, 1.8),
    "health": (0.07, 0.9),
    "household": (0.07, 1.6),
    "entertainment": (0.07, 0.7),
    "electronics": (0.05, 4.0),
    "travel": (0.04, 6.0),
    "gift_cards": (0.02, 1.5),
    "jewellery": (0.015, 6.0),
    "transfers": (0.015, 5.0),
}


class Pattern(Frozen):
    """One way to rob an account.

    ``from_day``: the first day of the simulation on which it happens; ``weight``: how often,
    against the other patterns of that day. ``tests``: small payments first, on average;
    ``payments``: further ones, at least 1, on average, all within ``hours``. ``amount``: their
    logarithm against what the account pays for the category, ± ``amount_sigma``. ``device``: the
    owner's, one new for each account, or one of the ring's. ``categories``: empty for the owner's
    habits. ``night``: starts between 0 and 5. ``tail``: any merchant of the category, however
    unpopular. ``abroad``: share of payments outside the account's region.
    """

    name: str
    from_day: int = Field(0, ge=0)
    weight: float = Field(1.0, gt=0)
    tests: float = Field(0.0, ge=0)
    payments: float = Field(2.0, ge=1)
    hours: float = Field(2.0, gt=0)
    amount: float = 0.0
    amount_sigma: float = Field(0.5, ge=0)
    device: Literal["own", "new", "ring"] = "own"
    categories: tuple[str, ...] = ()
    night: bool = False
    tail: bool = False
    abroad: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _known(self) -> Self:
        if unknown := set(self.categories) - set(CATEGORIES):
            raise ValueError(f"there is no category {sorted(unknown)[0]!r}")
        return self


PATTERNS = (
    Pattern(
        name="card_testing",
        tests=2,
        payments=3,
        hours=2,
        amount=0.7,
        device="ring",
        categories=("electronics", "gift_cards", "jewellery"),
        night=True,
        abroad=0.5,
    ),
    Pattern(
        name="takeover",
        from_day=60,
        payments=4,
        hours=24,
        amount=0.4,
        categories=("transfers", "gift_cards"),
        tail=True,
        abroad=0.1,
    ),
    Pattern(
        name="slow_drain",
        from_day=90,
        payments=6,
        hours=72,
        amount=0.6,
        amount_sigma=0.2,
        device="new",
        tail=True,
        abroad=0.4,
    ),
)


class SimulationConfig(Frozen):
    """What the docstring of ``simulate.py`` names. ``label_days``: median of the delay of labels,
    ``label_sigma`` of its logarithm, ``label_limit_days`` the longest."""

    seed: int = Field(0, ge=0)
    payments: int = Field(100_000, ge=1_000)
    accounts: int = Field(4_000, ge=50)
    merchants: int = Field(1_500, ge=100)
    start: str = Field("2024-01-01", pattern=r"^(19[7-9]\d|20\d\d)-\d\d-\d\d$")
    days: int = Field(180, ge=7, le=3_650)
    regions: tuple[str, ...] = Field(("north", "south", "east", "west"), min_length=2)
    fraud_share: float = Field(0.005, gt=0, le=0.2)
    median_amount: float = Field(25.0, gt=0)
    level_sigma: float = Field(0.5, ge=0)
    amount_sigma: float = Field(0.7, ge=0)
    activity_sigma: float = Field(0.8, ge=0, le=3)
    habit: float = Field(0.8, ge=0)
    tail: float = Field(0.9, ge=0, le=2)
    at_home: float = Field(0.93, ge=0, le=1)
    strange_device: float = Field(0.01, ge=0, le=1)
    ring_devices: int = Field(25, ge=1)
    test_amount: float = Field(1.5, gt=0)
    label_days: float = Field(10.0, gt=0)
    label_sigma: float = Field(0.7, ge=0)
    label_limit_days: float = Field(45.0, gt=0)
    patterns: tuple[Pattern, ...] = PATTERNS

    @model_validator(mode="after")
    def _begins(self) -> Self:
        if not any(pattern.from_day == 0 for pattern in self.patterns):
            raise ValueError("no pattern has from_day 0, so fraud could not begin")
        return self
