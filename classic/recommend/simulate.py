"""A streaming service that never was, whose truth is known.

The model, with all vectors of ``factors`` numbers and month m from 1 to 12:

- Genre g points in a random direction d_g of length 1. A film has 1 to 3 genres; its vector is the
  mean of theirs and a part of its own, scaled to length 1.
- A user's taste is the mean of their region, a direction times their (standardised) age, and a
  part of their own, scaled to length 1.
- In month m everybody is drawn to a film by ``season`` times the mean of cos(2π (m - peak_g) / 12)
  over its genres: horror peaks in October, children's films in December, most in a month drawn.
- The film in rank r of popularity is looked at with weight r^-tail. How much a user watches is
  log-normal with ``activity_sigma``.
- An event: a user, by activity, at a time since they joined, looks at ``shelf`` films drawn by
  popularity, and of those that are out takes the one with the largest ``choosiness`` taste·film +
  season + Gumbel noise, which is a choice by softmax. A user rates a film once.
- The rating: 3.2 + the user's bias + the film's quality + taste·film + noise, rounded to half stars
  from 0.5 to 5. Better films are more popular on average.
- ``new_share`` of the films come out during the simulated time, and ``cold_share`` of the users
  join in its last month, with a tenth of the activity.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from classic.recommend.schema import GENRES
from lifecycle.config import Frozen
from lifecycle.errors import ConfigError

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
PEAKS = {"Horror": 10, "Thriller": 10, "Children": 12, "Animation": 12, "Romance": 2}
MEAN_RATING = 3.2
MAX_FILLED = 0.3
MAX_ROUNDS, MIN_DRAWN = 100, 1_000
_BLOCK, _TINY = 50_000, np.float32(1e-30)


class SimulationConfig(Frozen):
    """What the docstring of the module names; ``start``: the first month simulated."""

    seed: int = Field(0, ge=0)
    users: int = Field(4_000, ge=10)
    films: int = Field(1_500, ge=20)
    events: int = Field(200_000, ge=100)
    start: str = Field("2024-01", pattern=r"^(19[7-9]|20\d)\d-(0[1-9]|1[0-2])$")
    months: int = Field(12, ge=1, le=120)
    regions: tuple[str, ...] = Field(("eu", "us", "asia"), min_length=1)
    factors: int = Field(8, ge=2)
    tail: float = Field(0.8, ge=0, le=2)
    activity_sigma: float = Field(1.0, ge=0, le=3)
    shelf: int = Field(20, ge=2)
    choosiness: float = Field(4.0, ge=0)
    season: float = Field(1.0, ge=0)
    noise: float = Field(0.5, ge=0)
    new_share: float = Field(0.1, ge=0, le=0.5)
    cold_share: float = Field(0.05, ge=0, le=0.5)


@dataclass(frozen=True)
class Films:
    """``vectors`` (films, factors); ``genres`` (films, genres), true where a film has one;
    ``weights``: how often looked at, summing to 1; ``released``: seconds since 1970 UTC."""

    vectors: Floats
    genres: NDArray[np.bool_]
    weights: NDArray[np.float64]
    quality: Floats
    released: Ints


@dataclass(frozen=True)
class Users:
    """``tastes`` (users, factors); ``regions``: numbers into the configured ones; ``joined``:
    seconds since 1970 UTC; ``activity``: shares of all events, summing to 1."""

    tastes: Floats
    regions: Ints
    ages: Ints
    bias: Floats
    joined: Ints
    activity: NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """What the events came from: ``seasons`` (12, films), January first."""

    films: Films
    users: Users
    seasons: Floats
    choosiness: float

    def preference(self, users: Ints, month: int) -> NDArray[np.float64]:
        """Log of the odds to take each film from a shelf in ``month`` (1 to 12), weighted by how
        often it gets there: shape (len(users), films), up to a constant for each user."""
        liking = self.choosiness * self.users.tastes[users] @ self.films.vectors.T
        logits: NDArray[np.float64] = liking + self.seasons[month - 1] + np.log(self.films.weights)
        return logits

    def expected_rating(self, users: Ints, films: Ints) -> Floats:
        """The rating before noise, rounding and limits, of user j for film j."""
        liking = np.einsum("nk,nk->n", self.users.tastes[users], self.films.vectors[films])
        bias, quality = self.users.bias[users], self.films.quality[films]
        return np.asarray(MEAN_RATING + bias + quality + liking, dtype=np.float32)


@dataclass(frozen=True)
class Simulation:
    """Event j: ``users[j]`` gave ``films[j]`` ``ratings[j]`` at ``times[j]`` (seconds since 1970
    UTC), in order of time."""

    config: SimulationConfig
    truth: Truth
    users: Ints
    films: Ints
    ratings: Floats
    times: Ints


def simulate(config: SimulationConfig) -> Simulation:
    """Raises ConfigError where the users could not rate that many films."""
    if config.events > MAX_FILLED * config.users * config.films:
        raise ConfigError(
            f"{config.events:,} events are more than {MAX_FILLED:.0%} of all pairs of "
            f"{config.users:,} users and {config.films:,} films.",
            "Ask for fewer events, or for more users or films.",
        )
    random = np.random.default_rng(config.seed)
    truth = _truth(config, random)
    users, films, times = _events(config, truth, random)
    order = np.argsort(times, kind="stable")
    users, films, times = users[order], films[order], times[order]
    noise = config.noise * random.standard_normal(len(users), dtype=np.float32)
    ratings = np.clip(np.round(2 * (truth.expected_rating(users, films) + noise)) / 2, 0.5, 5)
    return Simulation(config, truth, users, films, ratings.astype(np.float32), times)


def _truth(config: SimulationConfig, random: np.random.Generator) -> Truth:
    directions = _unit(random.standard_normal((len(GENRES), config.factors)))
    peaks = [PEAKS.get(genre) or int(random.integers(1, 13)) for genre in GENRES]
    turns = 2 * np.pi * (np.arange(1, 13)[:, None] - np.array(peaks)) / 12
    films = _films(config, directions, random)
    shares = films.genres / films.genres.sum(axis=1, keepdims=True)
    seasons = config.season * np.cos(turns) @ shares.T
    return Truth(films, _users(config, random), seasons.astype(np.float32), config.choosiness)


def _films(config: SimulationConfig, directions: Floats, random: np.random.Generator) -> Films:
    count, factors = config.films, config.factors
    wanted = random.integers(1, 4, count)
    places = random.random((count, len(GENRES))).argsort(axis=1).argsort(axis=1)
    genres = places < wanted[:, None]
    own = 0.5 * random.standard_normal((count, factors)) / np.sqrt(factors)
    vectors = _unit(_unit(genres @ directions) + own)
    quality = 0.35 * random.standard_normal(count)
    rank = np.argsort(np.argsort(-(quality + 0.5 * random.standard_normal(count))))
    weights = (rank + 1.0) ** -config.tail
    start, end = span(config)
    released = np.full(count, start)
    new = random.permutation(count)[: round(config.new_share * count)]
    released[new] = random.integers(start, end, len(new))
    return Films(vectors, genres, weights / weights.sum(), quality.astype(np.float32), released)


def _users(config: SimulationConfig, random: np.random.Generator) -> Users:
    count, factors = config.users, config.factors
    regions = random.integers(0, len(config.regions), count)
    ages = np.clip(np.round(random.normal(38, 14, count)), 16, 90).astype(np.int64)
    means = _unit(random.standard_normal((len(config.regions), factors)))
    by_age = _unit(random.standard_normal((1, factors))) * ((ages - 38) / 14)[:, None]
    own = _unit(random.standard_normal((count, factors)))
    start, end = span(config)
    joined = np.full(count, start)
    cold = random.permutation(count)[: round(config.cold_share * count)]
    last = start + (end - start) * (config.months - 1) // config.months
    joined[cold] = random.integers(last, end, len(cold))
    activity = random.lognormal(0, config.activity_sigma, count)
    activity[cold] /= 10
    return Users(
        _unit(0.4 * means[regions] + 0.3 * by_age + own),
        regions,
        ages,
        (0.3 * random.standard_normal(count)).astype(np.float32),
        joined,
        activity / activity.sum(),
    )


def _events(
    config: SimulationConfig, truth: Truth, random: np.random.Generator
) -> tuple[Ints, Ints, Ints]:
    """User, film and time of each event, no pair twice; drawn anew until there are enough."""
    kept = np.empty((3, 0), dtype=np.int64)
    for _ in range(MAX_ROUNDS):
        short = config.events - kept.shape[1]
        if short <= 0:
            break
        whole, rest = divmod(max(MIN_DRAWN, short + short // 4), _BLOCK)
        drawn = [_draw(config, truth, size, random) for size in [*[_BLOCK] * whole, rest]]
        kept = np.concatenate([kept, *drawn], axis=1)
        _, first = np.unique(kept[0] * config.films + kept[1], return_index=True)
        kept = kept[:, np.sort(first)]
    else:
        raise ConfigError(
            f"only {kept.shape[1]:,} of {config.events:,} events came about: few users are active.",
            "Lower activity_sigma or tail, or ask for fewer events.",
        )
    users, films, times = kept[:, : config.events]
    return users, films, times


def _draw(config: SimulationConfig, truth: Truth, count: int, random: np.random.Generator) -> Ints:
    """Up to ``count`` events as rows user, film, time; fewer where a shelf held no film yet out."""
    users = random.choice(config.users, count, p=truth.users.activity)
    _, end = span(config)
    times = random.integers(truth.users.joined[users], end)
    weights = np.cumsum(truth.films.weights)
    drawn = random.random((count, config.shelf)) * weights[-1]
    shelf = np.searchsorted(weights, drawn, side="right")
    tastes = config.choosiness * truth.users.tastes[users]
    odds = np.einsum("nk,nsk->ns", tastes, truth.films.vectors[shelf], optimize=True)
    odds += truth.seasons[months(times)[:, None] - 1, shelf]
    odds -= np.log(random.standard_exponential(odds.shape, dtype=np.float32) + _TINY)
    odds[truth.films.released[shelf] > times[:, None]] = -np.inf
    best = odds.argmax(axis=1)
    taken = np.arange(count), best
    return np.stack([users, shelf[taken], times])[:, np.isfinite(odds[taken])]


def months(times: Ints) -> Ints:
    """The month of the year, 1 to 12, of seconds since 1970 UTC."""
    return times.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64) % 12 + 1


def span(config: SimulationConfig) -> tuple[int, int]:
    """First second and the second after the last, since 1970 UTC."""
    year, month = map(int, config.start.split("-"))
    last = year * 12 + month - 1 + config.months
    ends = datetime(year, month, 1, tzinfo=UTC), datetime(last // 12, last % 12 + 1, 1, tzinfo=UTC)
    return int(ends[0].timestamp()), int(ends[1].timestamp())


def _unit(vectors: NDArray[Any]) -> Floats:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
