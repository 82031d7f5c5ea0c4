"""Schemathesis over each service's own OpenAPI description: no 5xx, all answers as declared.

MLOPS_SCHEMA_CASES=700 sends seven times as many.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, openapi

from services.origins import Folder
from services.served import Holder
from tests.serving import Service, films_bundle, notes_bundle, service
from tests.small_rows import rows_bundle

CASES = int(os.environ.get("MLOPS_SCHEMA_CASES", "100"))
FULL = settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
KINDS: dict[str, Callable[[Path], Path]] = {
    "documents": notes_bundle,
    "films": films_bundle,
    "rows": rows_bundle,
}
TYPES = ["application/json", "text/csv", "multipart/form-data; boundary=x", "image/png"]
WORDS = st.text("abcXYZ019-_./ ;=", min_size=1, max_size=20).map(str.strip)
# Not answers of a model that is warm.
FAILED = (500, 501, 503, 505)


class Caller:
    """Sends prepared requests to an application, in one event loop."""

    def __init__(self, app: Any) -> None:
        self.runner = asyncio.Runner()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000")

    def send(self, kwargs: dict[str, Any]) -> httpx.Response:
        kwargs = kwargs | {"url": f"http://127.0.0.1:3000{kwargs['url']}"}
        prepared = requests.Request(**kwargs).prepare()
        return self.runner.run(
            self.client.request(
                str(prepared.method),
                str(prepared.url),
                content=prepared.body,
                headers=dict(prepared.headers),
            )
        )


@pytest.fixture(scope="module", params=KINDS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Caller]]:
    bundle = KINDS[request.param](tmp_path_factory.mktemp(request.param) / "one")
    holder = Holder(Folder(bundle, "cpu"))
    assert holder.check(), holder.failure
    made = service(holder)
    caller = Caller(made.app)
    yield made, caller
    caller.runner.close()


def operations(made: Service) -> list[Any]:
    document = made.get("/openapi.json").json()
    return [found.ok() for found in openapi.from_dict(document).get_all_operations()]


def described(operation: Any, mode: GenerationMode) -> st.SearchStrategy[dict[str, Any]]:
    cases: st.SearchStrategy[Any] = operation.as_strategy(generation_mode=mode)
    return cases.map(lambda case: case.as_transport_kwargs())


def odd(operation: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Requests that no description is behind: any bytes as any type, any query."""
    headers = {"Content-Type": st.sampled_from(TYPES) | WORDS, "X-Request-ID": WORDS}
    facts = {
        "data": st.binary(max_size=400),
        "headers": st.fixed_dictionaries({}, optional=headers),
        "params": st.dictionaries(WORDS | st.just("source"), st.text(max_size=20), max_size=3),
    }
    return st.fixed_dictionaries(facts).map(
        lambda made: made | {"method": operation.method.upper(), "url": operation.path}
    )


def sent(operation: Any, kind: str, caller: Caller) -> int:
    """How many requests were sent, all answered as declared."""
    count = 0

    @FULL
    @given(odd(operation) if kind == "odd" else described(operation, GenerationMode(kind)))
    def holds(request: dict[str, Any]) -> None:
        nonlocal count
        count += 1
        answer = caller.send(request)
        assert answer.status_code not in FAILED, answer.text
        operation.validate_response(answer)

    holds()
    return count


@pytest.mark.slow
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("kind", ["positive", "negative", "odd"])
def test_every_answer_is_as_declared(
    served: tuple[Service, Caller], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """``positive`` requests fit the description, ``negative`` ones break it."""
    made, caller = served
    counts = {
        operation.label: sent(operation, kind, caller)
        for operation in operations(made)
        if kind != "negative" or operation.body or operation.query
    }
    assert counts
    with capsys.disabled():
        print("", *(f"{kind} {label}: {count}" for label, count in counts.items()), sep="\n  ")
