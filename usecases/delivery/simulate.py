"""Deliveries that were never made, of which one knows how long they should have taken.

The model, for order i of restaurant r at time t, in minutes:

    minutes = typical · exp(sigma · z),   z ~ N(0, 1)
    typical = prepare + wait + ride + handover

- prepare = kitchen_r · (minutes that the kitchen states) + 0.6 · (items − 1), with log kitchen_r ~
  N(0, kitchen_sigma). What is stated: that of the order's type, ± 15 %.
- wait = wait_minutes · max(0, open orders / free couriers − 1)
- ride = 60 · distance / speed, and speed = that of the vehicle, in km/h, · (1 − slope · traffic) ·
  (1 − rain_slows · min(rain / 5, 1)) · (1 + 0.08 · (rating − 4.5)). Traffic goes from 0 to 1 with
  the hour and the weekday; rain is in mm an hour.
- sigma = noise + noise_traffic · traffic + noise_rain · min(rain / 5, 1): how long a delivery takes
  is skewed to the right, and less sure in traffic and rain.

So the median is ``typical``, the mean typical · exp(sigma² / 2), and the quantile q is
typical · exp(sigma · Φ⁻¹(q)). What changes at known times:

- ``roadworks_day``: from it on the slope is ``roadworks_slope`` instead of ``traffic_slope``; the
  same traffic takes longer.
- ``rainy_day``: from it on the share of rainy days is ``rainy_share`` instead of ``dry_share``;
  what rain does stays as it was.

``recent_pace`` is the mean, over the deliveries that ended within the 24 hours before the order, of
their minutes against stated minutes + 3 · distance; missing where none ended.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lifecycle.config import Frozen
from lifecycle.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
DAY = 86_400
STATED = {"snack": 8.0, "drinks": 4.0, "meal": 15.0, "buffet": 20.0}  # minutes
SPEED = {"bicycle": 15.0, "scooter": 24.0, "motorcycle": 27.0}  # km/h
_VEHICLES = (0.2, 0.45, 0.35)
_HOURS = np.array([1, 0, 0, 0, 0, 0, 0, 2, 4, 3, 3, 7, 12, 10, 5, 3, 4, 7, 12, 14, 11, 7, 4, 2])
_TRAFFIC = np.array([0, 0, 0, 0, 0, 1, 3, 7, 9, 7, 5, 5, 6, 6, 5, 6, 8, 10, 9, 7, 4, 3, 2, 1]) / 10
_HEAVY_RAIN = 5.0  # mm an hour


class SimulationConfig(Frozen):
    """What the docstring of the module names; ``rain_gap``: share of orders without a reading."""

    seed: int = Field(0, ge=0)
    orders: int = Field(40_000, ge=100)
    restaurants: int = Field(120, ge=1)
    start: str = Field("2024-01-01", pattern=r"^(19[7-9]\d|20\d\d)-\d\d-\d\d$")
    days: int = Field(180, ge=2, le=3_650)
    handover: float = Field(3.0, ge=0)
    kitchen_sigma: float = Field(0.2, ge=0)
    wait_minutes: float = Field(4.0, ge=0)
    traffic_slope: float = Field(0.35, ge=0, lt=1)
    roadworks_day: int = Field(45, ge=0)
    roadworks_slope: float = Field(0.55, ge=0, lt=1)
    rain_slows: float = Field(0.25, ge=0, lt=1)
    dry_share: float = Field(0.15, ge=0, le=1)
    rainy_day: int = Field(90, ge=0)
    rainy_share: float = Field(0.5, ge=0, le=1)
    rain_gap: float = Field(0.01, ge=0, le=1)
    noise: float = Field(0.12, ge=0)
    noise_traffic: float = Field(0.12, ge=0)
    noise_rain: float = Field(0.08, ge=0)


@dataclass(frozen=True)
class Truth:
    """Of each order: the median of its minutes and the sigma of their logarithm."""

    typical: Floats
    sigma: Floats

    @property
    def mean(self) -> Floats:
        """The expected minutes."""
        return np.asarray(self.typical * np.exp(self.sigma**2 / 2))

    def quantile(self, share: float) -> Floats:
        """The minutes that ``share`` (0 to 1) of such deliveries stay below."""
        from statistics import NormalDist

        return np.asarray(self.typical * np.exp(self.sigma * NormalDist().inv_cdf(share)))


@dataclass(frozen=True)
class Simulation:
    """``table``: the columns of ``schema.yaml``, in order of time; ``truth`` has its rows."""

    table: "pa.Table"
    truth: Truth


def simulate(config: SimulationConfig) -> Simulation:
    """Raises ConfigError where ``start`` is no day."""
    import pyarrow as pa

    start = _start(config)
    random = np.random.default_rng(config.seed)
    orders = _orders(config, random)
    truth = _truth(config, orders, random)
    minutes = np.round(
        truth.typical * np.exp(truth.sigma * random.standard_normal(config.orders)), 1
    )
    second = orders.pop("second")
    columns = {
        "order_id": [f"O{number:07}" for number in range(config.orders)],
        "time": pa.array((second + start) * 1_000_000, pa.timestamp("us", "UTC")),
        **orders,
        "restaurant_id": _words(
            [f"R{n:03}" for n in range(config.restaurants)], orders["restaurant_id"]
        ),
        "order_type": _words(list(STATED), orders["order_type"]),
        "vehicle": _words(list(SPEED), orders["vehicle"]),
        "rain_mm": pa.array(orders["rain_mm"], mask=random.random(config.orders) < config.rain_gap),
        "recent_pace": pa.array(
            recent_pace(second, minutes, orders["stated_min"] + 3 * orders["distance_km"]),
            from_pandas=True,
        ),
        "minutes": minutes,
    }
    return Simulation(pa.table(columns), truth)


def recent_pace(second: Ints, minutes: Floats, plan: Floats) -> Floats:
    """Mean of minutes / plan over what ended within the 24 hours before each second, not at it;
    NaN where nothing did."""
    ended = second + np.ceil(minutes * 60).astype(np.int64)
    order = np.argsort(ended, kind="stable")
    total = np.concatenate([[0.0], np.cumsum((minutes / plan)[order])])
    last = np.searchsorted(ended[order], second, "left")
    first = np.searchsorted(ended[order], second - DAY, "left")
    count = last - first
    return np.where(count > 0, (total[last] - total[first]) / np.maximum(count, 1), np.nan)


def _orders(config: SimulationConfig, random: np.random.Generator) -> dict[str, Any]:
    """The columns that are known when an order comes in, categories as numbers."""
    count = config.orders
    hour = random.choice(24, count, p=_HOURS / _HOURS.sum())
    second = random.integers(0, config.days, count) * DAY + hour * 3_600
    second = np.sort(second + random.integers(0, 3_600, count))
    day, hour = second // DAY, second % DAY // 3_600
    weekday = (day + _start(config) // DAY + 3) % 7 + 1
    busy = _HOURS[hour] / _HOURS.max()
    kind = random.choice(len(STATED), count, p=(0.3, 0.2, 0.4, 0.1))
    stated = np.array(list(STATED.values()))[kind] * np.clip(random.normal(1, 0.15, count), 0.5, 2)
    usual = _TRAFFIC[hour] * np.where(weekday > 5, 0.6, 1.0)
    return {
        "second": second,
        "restaurant_id": random.integers(0, config.restaurants, count),
        "order_type": kind,
        "items": 1 + random.poisson(1.5, count),
        "stated_min": np.round(stated, 1),
        "vehicle": random.choice(len(SPEED), count, p=_VEHICLES),
        "courier_rating": np.round(np.clip(random.normal(4.5, 0.3, count), 1, 5), 1),
        "free_couriers": 1 + random.poisson(5 + 7 * busy),
        "open_orders": random.poisson(2 + 16 * busy),
        "distance_km": np.round(np.clip(random.gamma(2.5, 1.4, count), 0.2, 15), 2),
        "traffic": np.round(np.clip(usual + random.normal(0, 0.1, count), 0, 1), 2),
        "rain_mm": _rain(config, day, random),
        "hour": hour,
        "weekday": weekday,
    }


def _rain(config: SimulationConfig, day: Ints, random: np.random.Generator) -> Floats:
    """Rain of each order in mm an hour: on some days, and then in two of three hours."""
    share = np.where(
        np.arange(config.days) < config.rainy_day, config.dry_share, config.rainy_share
    )
    wet = random.random(config.days) < share
    falls = wet[day] & (random.random(len(day)) < 2 / 3)
    return np.asarray(np.round(falls * random.gamma(1.5, 1.5, len(day)), 1))


def _truth(config: SimulationConfig, orders: dict[str, Any], random: np.random.Generator) -> Truth:
    kitchen = random.lognormal(0, config.kitchen_sigma, config.restaurants)[orders["restaurant_id"]]
    rain = np.minimum(orders["rain_mm"] / _HEAVY_RAIN, 1)
    works = orders["second"] >= config.roadworks_day * DAY
    slope = np.where(works, config.roadworks_slope, config.traffic_slope)
    speed = np.array(list(SPEED.values()))[orders["vehicle"]] * (1 - slope * orders["traffic"])
    speed *= (1 - config.rain_slows * rain) * (1 + 0.08 * (orders["courier_rating"] - 4.5))
    prepare = kitchen * orders["stated_min"] + 0.6 * (orders["items"] - 1)
    crowd = np.maximum(0, orders["open_orders"] / orders["free_couriers"] - 1)
    ride = 60 * orders["distance_km"] / speed
    typical = prepare + config.wait_minutes * crowd + ride + config.handover
    sigma = config.noise + config.noise_traffic * orders["traffic"] + config.noise_rain * rain
    return Truth(typical, sigma)


def _words(words: list[str], at: Ints) -> "pa.Array":
    import pyarrow as pa

    return pa.array(words).take(pa.array(at))


def _start(config: SimulationConfig) -> int:
    """Seconds since 1970 UTC."""
    try:
        return int(datetime.fromisoformat(config.start).replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise ConfigError(f"start={config.start!r} is no day: {error}.") from error
