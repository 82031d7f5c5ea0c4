"""The endpoints of a recommender."""

from pathlib import Path

import pytest

from services.routes.recommend import LAST, Recommended, Seen
from tests.serving import Service, films_bundle, serving


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return serving(films_bundle(tmp_path_factory.mktemp("films") / "one"))


def test_a_user_gets_films_of_their_own(films: Service) -> None:
    info = films.get("/v1/info").json()
    first, second = info["users"][:2]
    lists = [
        films.post("/v1/recommend", {"user_id": one, "k": 5}).json() for one in (first, second)
    ]
    assert [len(one["items"]) for one in lists] == [5, 5]
    assert lists[0]["items"] != lists[1]["items"]
    Recommended.model_validate(lists[0])
    scores = [item["score"] for item in lists[0]["items"]]
    assert scores == sorted(scores, reverse=True)


def test_a_history_stands_for_a_stranger_and_what_is_excluded_stays_out(films: Service) -> None:
    popular = [item["film_id"] for item in films.post("/v1/recommend", {"k": 5}).json()["items"]]
    history = {"history": popular[:2], "k": 5}
    found = [item["film_id"] for item in films.post("/v1/recommend", history).json()["items"]]
    assert len(found) == 5 and not set(found) & set(popular[:2])
    without = history | {"exclude": found[:1]}
    rest = [item["film_id"] for item in films.post("/v1/recommend", without).json()["items"]]
    assert found[0] not in rest and rest[:4] == found[1:]


def test_what_a_user_saw_last_comes_first_and_is_not_recommended(films: Service) -> None:
    user = films.get("/v1/info").json()["users"][0]
    response = films.get("/v1/seen", params={"user_id": user})
    seen = [item["film_id"] for item in Seen.model_validate(response.json()).model_dump()["items"]]
    predictor = films.holder.serving().predictor
    assert seen == predictor.recommender.history_of(0)[::-1][:LAST]
    items = films.post("/v1/recommend", {"user_id": user, "k": 20}).json()["items"]
    assert not {item["film_id"] for item in items} & set(seen)
    for params in ({"user_id": "nobody"}, {}):
        assert films.get("/v1/seen", params=params).status_code == 404


def test_only_films_of_a_genre(films: Service) -> None:
    genre = films.get("/v1/info").json()["genres"][0]
    items = films.post("/v1/recommend", {"genres": [genre.upper()], "k": 3}).json()["items"]
    assert items and all(genre in item["genres"] for item in items)


@pytest.mark.parametrize("payload", [{"k": 0}, {"k": 101}, {"history": [1]}, {"user": "1"}])
def test_what_does_not_fit_is_refused(films: Service, payload: object) -> None:
    response = films.post("/v1/recommend", payload)
    assert response.status_code == 422 and "error" in response.json()


def test_each_recommendation_is_kept_with_what_was_asked(films: Service) -> None:
    films.kept.rows.clear()
    found = films.post("/v1/recommend", {"k": 2, "exclude": ["x"]}).json()
    (row,) = films.kept.rows
    assert row["output"] == [item["film_id"] for item in found["items"]]
    assert row["features"]["exclude"] == ["x"] and row["request_id"] == found["request_id"]
    assert 'stage="recommend"' in films.get("/metrics").text


def test_nothing_of_documents_is_loaded_for_films(tmp_path: Path) -> None:
    import subprocess
    import sys

    bundle = films_bundle(tmp_path / "films")
    code = (
        "import sys; from pathlib import Path; from tests.serving import serving;"
        f"films = serving(Path({str(bundle)!r}));"
        "assert films.post('/v1/recommend', {'k': 1}).status_code == 200;"
        "print([m for m in ('torch', 'transformers', 'mlflow', 'zenml', 'bentoml') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
