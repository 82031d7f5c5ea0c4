"""A new champion takes over while requests run; a bad one does not."""

import asyncio
import gc
import shutil
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

from lifecycle.errors import StorageError
from services.served import Holder, Model
from services.surfaces import example_row
from tests.serving import Folders, films_bundle, notes_bundle, run, service

TEA = {"question": "How long should green tea steep?"}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """In the first green tea steeps for three minutes, in the second for four."""
    folder = tmp_path_factory.mktemp("two")
    return [notes_bundle(folder / minutes, minutes) for minutes in ("three", "four")]


def test_the_promoted_model_answers_from_then_on_and_back(two: list[Path]) -> None:
    origin = Folders(two)
    notes = service(holder := Holder(origin))
    assert holder.check() and not holder.check()
    for version, minutes in ((1, "three"), (2, "four"), (1, "three")):
        origin.chosen = version
        holder.check()
        found = notes.post("/v1/ask", TEA).json()
        assert found["version"] == version and f"{minutes} minutes" in found["answer"]
    assert holder.swaps == 2 and origin.loaded == [1, 2, 1]


def test_before_the_first_model_is_warm_nothing_is_ready(two: list[Path]) -> None:
    notes = service(holder := Holder(Folders(two)))
    assert notes.get("/livez").status_code == notes.get("/healthz").status_code == 200
    assert notes.get("/readyz").status_code == 503
    for response in (notes.post("/v1/ask", TEA), notes.get("/v1/info")):
        assert response.status_code == 503 and response.headers["retry-after"] == "2"
        assert "no model serves yet" in response.json()["error"]["message"]
    holder.start()
    until = time.monotonic() + 30
    while notes.get("/readyz").status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert notes.post("/v1/ask", TEA).status_code == 200
    holder.stop()


def test_a_damaged_champion_leaves_the_old_one_and_is_told(two: list[Path], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(two[1], damaged)
    (damaged / "chunks.arrow").write_bytes(b"nothing")
    origin = Folders([two[0], damaged, two[1]])
    notes = service(holder := Holder(origin))
    holder.check()
    origin.chosen = 2
    assert not holder.check() and not holder.check()
    assert origin.loaded == [1, 2], "it is not tried again at once"
    assert notes.post("/v1/ask", TEA).json()["version"] == 1
    failure = notes.get("/v1/info").json()["failure"]
    assert failure["version"] == 2 and "chunks.arrow" in failure["problem"]
    origin.chosen = 3
    assert holder.check()
    assert notes.get("/v1/info").json()["failure"] is None
    assert notes.post("/v1/ask", TEA).json()["version"] == 3


def test_whatever_a_library_raises_at_loading_is_survived(two: list[Path]) -> None:
    class Broken(Folders):
        def load(self, model: Model) -> Any:
            if model.version == 2:
                raise ZeroDivisionError
            return super().load(model)

    origin = Broken(two)
    holder = Holder(origin, retry_s=0)
    holder.check()
    origin.chosen = 2
    assert not holder.check()
    assert holder.failure is not None and holder.failure.problem == "ZeroDivisionError"
    assert holder.serving().model.version == 1


def test_one_that_fails_its_warm_up_does_not_serve(two: list[Path]) -> None:
    class Mute(Folders):
        def load(self, model: Model) -> Any:
            found = super().load(model)
            if model.version == 2:
                found.generator = None
            return found

    origin = Mute(two)
    holder = Holder(origin)
    holder.check()
    origin.chosen = 2
    assert not holder.check() and holder.serving().model.version == 1


def test_without_a_champion_or_a_registry_the_old_one_goes_on(two: list[Path]) -> None:
    class Away(Folders):
        def wanted(self) -> Model | None:
            if self.chosen == 0:
                raise StorageError("the database is away.")
            return super().wanted()

    origin = Away(two)
    holder = Holder(origin)
    holder.check()
    for chosen, words in ((None, "no version is the champion"), (0, "the database is away")):
        origin.chosen = chosen
        assert not holder.check()
        assert holder.failure is not None and words in holder.failure.problem
        assert holder.serving().model.version == 1


def test_a_model_of_another_kind_does_not_take_the_place(two: list[Path], tmp_path: Path) -> None:
    origin = Folders([two[0], films_bundle(tmp_path / "films")])
    holder = Holder(origin)
    holder.check()
    origin.chosen = 2
    assert not holder.check()
    assert holder.failure is not None and "endpoints of recommend" in holder.failure.problem


def test_running_requests_keep_their_model_and_free_it_after(two: list[Path]) -> None:
    origin = Folders(two)
    holder = Holder(origin)
    holder.check()
    serving = holder.serving()
    old = weakref.ref(serving.predictor)
    origin.chosen = 2
    holder.check()
    assert "three minutes" in serving.predictor.answer(TEA["question"])["answer"]
    del serving
    holder.check()
    gc.collect()
    assert old() is None


def test_twenty_swaps_under_load_fail_no_request(two: list[Path]) -> None:
    origin = Folders(two)
    notes = service(holder := Holder(origin))
    holder.check()
    seen: list[tuple[int, int, str]] = []

    async def ask(stop: asyncio.Event) -> None:
        async with notes.client() as client:
            while not stop.is_set():
                response = await client.post("/v1/ask", json=TEA)
                found = response.json()
                seen.append((response.status_code, found["version"], found["answer"]))

    async def swaps() -> None:
        stop = asyncio.Event()
        asking = [asyncio.create_task(ask(stop)) for _ in range(4)]
        for number in range(20):
            origin.chosen = 2 - number % 2
            assert await asyncio.to_thread(holder.check), holder.failure
            await asyncio.sleep(0.05)
        stop.set()
        await asyncio.gather(*asking)

    run(swaps())
    assert holder.swaps == 20
    assert {status for status, _, _ in seen} == {200}
    assert {version for _, version, _ in seen} == {1, 2}
    for _, version, answer in seen:
        assert f"{'three' if version == 1 else 'four'} minutes" in answer


def test_an_example_row_fits_its_columns() -> None:
    class Column:
        def __init__(
            self,
            type: str,
            min: float | None = None,
            max: float | None = None,
            values: Any = (),
        ) -> None:
            self.type, self.min, self.max, self.values = type, min, max, values

    class Schema:
        columns = {
            "amount": Column("number", 0.5),
            "count": Column("integer", 2),
            "below": Column("number", max=-1.5),
            "shop": Column("category", values=("web", "till")),
            "new": Column("boolean"),
            "at": Column("time"),
            "label": Column("boolean"),
        }
        features = ["amount", "count", "below", "shop", "new", "at"]

    row = example_row(Schema())
    assert row == {
        "amount": 0.5,
        "count": 2,
        "below": -1.5,
        "shop": "web",
        "new": True,
        "at": "2026-01-01T00:00:00Z",
    }
