"""The simulated streaming service: what its docstring says is what comes out."""

import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from classic.recommend.films import read_users
from classic.recommend.schema import GENRES
from classic.recommend.service_files import write
from classic.recommend.simulate import Simulation, SimulationConfig, months, simulate, span
from lifecycle.errors import ConfigError

SMALL = SimulationConfig(users=600, films=300, events=30_000)


@pytest.fixture(scope="module")
def small() -> Simulation:
    return simulate(SMALL)


def share(simulation: Simulation, genre: str, month: int) -> float:
    flags = simulation.truth.films.genres[:, GENRES.index(genre)]
    return float(flags[simulation.films[months(simulation.times) == month]].mean())


def test_the_same_seed_gives_the_same_service_and_another_seed_another(small: Simulation) -> None:
    again, other = simulate(SMALL), simulate(SMALL.model_copy(update={"seed": 1}))
    for name in ("users", "films", "ratings", "times"):
        assert np.array_equal(getattr(small, name), getattr(again, name))
        assert not np.array_equal(getattr(small, name), getattr(other, name))


def test_there_are_as_many_events_as_asked_for_in_order_and_no_pair_twice(
    small: Simulation,
) -> None:
    assert len(small.users) == len(small.films) == len(small.times) == SMALL.events
    assert (np.diff(small.times) >= 0).all()
    assert len(np.unique(small.users * SMALL.films + small.films)) == SMALL.events
    start, end = span(SMALL)
    assert start <= small.times[0] < small.times[-1] < end
    assert set(np.unique(small.ratings)) <= set(np.arange(1, 11) / 2)


def test_october_is_not_december(small: Simulation) -> None:
    assert share(small, "Horror", 10) > 1.2 * share(small, "Horror", 4)
    assert share(small, "Children", 12) > 1.2 * share(small, "Children", 6)
    flat = simulate(SMALL.model_copy(update={"season": 0.0}))
    assert share(flat, "Horror", 10) == pytest.approx(share(flat, "Horror", 4), rel=0.15)


def test_a_tenth_of_the_films_has_far_more_than_its_share_of_the_events(
    small: Simulation,
) -> None:
    def head(simulation: Simulation) -> float:
        counts = np.sort(np.bincount(simulation.films, minlength=SMALL.films))[::-1]
        return float(counts[: SMALL.films // 10].sum() / counts.sum())

    assert head(small) > 0.25
    assert head(simulate(SMALL.model_copy(update={"tail": 0.0}))) < head(small) - 0.05


def test_activity_is_uneven(small: Simulation) -> None:
    counts = np.bincount(small.users, minlength=SMALL.users)
    assert np.percentile(counts, 95) > 2.5 * np.median(counts)


def test_no_film_is_seen_before_it_is_out_and_no_user_before_joining(small: Simulation) -> None:
    films, users = small.truth.films, small.truth.users
    assert (small.times >= films.released[small.films]).all()
    assert (small.times >= users.joined[small.users]).all()
    start, _ = span(SMALL)
    assert (films.released > start).mean() == pytest.approx(SMALL.new_share, abs=0.01)
    cold = users.joined > start
    assert cold.mean() == pytest.approx(SMALL.cold_share, abs=0.01)
    counts = np.bincount(small.users, minlength=SMALL.users)
    assert counts[cold].mean() < counts[~cold].mean() / 4


def test_ratings_follow_the_truth(small: Simulation) -> None:
    expected = small.truth.expected_rating(small.users, small.films)
    assert np.corrcoef(expected, small.ratings)[0, 1] > 0.7
    assert abs(float((small.ratings - expected).mean())) < 0.1


def test_a_simple_model_recovers_tastes_better_than_popularity_and_chance(
    small: Simulation,
) -> None:
    """Counts, scaled by their margins and cut to the leading directions, against the true part
    of the preference that is the user's own."""
    counts = np.zeros((SMALL.users, SMALL.films))
    counts[small.users, small.films] = 1
    active = np.flatnonzero(counts.sum(axis=1) > 20)
    residual = counts - np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    left, values, right = np.linalg.svd(residual / np.sqrt(counts.sum(axis=0) + 1))
    scores = (left[:, :8] * values[:8]) @ right[:8]
    truth = small.truth.users.tastes @ small.truth.films.vectors.T
    found = [np.corrcoef(scores[user], truth[user])[0, 1] for user in active]
    shuffled = np.random.default_rng(0).permutation(active)
    chance = [np.corrcoef(scores[a], truth[b])[0, 1] for a, b in zip(active, shuffled, strict=True)]
    popular = [np.corrcoef(counts.sum(axis=0), truth[user])[0, 1] for user in active]
    assert np.mean(found) > 0.4
    assert abs(np.mean(chance)) < 0.2
    assert np.mean(found) > np.mean(popular) + 0.3


def test_preference_knows_popularity_and_season(small: Simulation) -> None:
    users = np.arange(5)
    october, december = (small.truth.preference(users, month) for month in (10, 12))
    assert october.shape == (5, SMALL.films)
    horror = small.truth.films.genres[:, GENRES.index("Horror")]
    assert (october - december)[:, horror].mean() > (october - december)[:, ~horror].mean()
    seen = np.bincount(small.films, minlength=SMALL.films)
    everybody = small.truth.preference(np.arange(SMALL.users), 6).mean(axis=0)
    assert np.corrcoef(everybody, np.log(seen + 1))[0, 1] > 0.6


def test_more_events_than_can_be_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"1,000 events are more than 30% .* 10 users"):
        simulate(SimulationConfig(users=10, films=20, events=1_000))
    for start in ("2024-13", "0000-01"):
        with pytest.raises(ValidationError):
            SimulationConfig(start=start)


def test_users_too_uneven_for_the_events_are_refused_instead_of_drawing_for_ever() -> None:
    with pytest.raises(ConfigError, match=r"of 3,000 events came about"):
        simulate(SimulationConfig(users=10, films=1_000, events=3_000, activity_sigma=3, tail=2))


def test_a_span_over_the_turn_of_the_year() -> None:
    year = simulate(SMALL.model_copy(update={"start": "2023-11", "months": 3}))
    assert set(months(year.times)) == {11, 12, 1}


def test_the_files_are_those_of_a_service(small: Simulation, tmp_path: Path) -> None:
    write(small, tmp_path)
    lines = (tmp_path / "catalogue.csv").read_text().splitlines()
    assert lines[0] == "film_id,title,year,genres"
    assert len(lines) == SMALL.films + 1
    assert len({line.split(",")[1] for line in lines}) == SMALL.films + 1
    pages = json.loads((tmp_path / "users.json").read_text())
    assert [(page["page"], page["pages"]) for page in pages] == [(1, 2), (2, 2)]
    assert read_users(tmp_path / "users.json")["user_id"].is_unique
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write(simulate(SMALL), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
