"""The description of a service is what the service does."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from services.pages import FOLDER
from services.served import Holder
from tests.serving import Service, films_bundle, notes_bundle, service, serving
from tests.test_service_rows import Toys

KINDS = ("rag", "recommend", "tabular")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Service]:
    folder = tmp_path_factory.mktemp("kinds")
    holder = Holder(Toys())
    assert holder.check()
    return {
        "rag": serving(notes_bundle(folder / "notes")),
        "recommend": serving(films_bundle(folder / "films")),
        "tabular": service(holder),
    }


def document(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service.get("/openapi.json").json()
    return found


def check(found: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    jsonschema.Draft202012Validator(schema | {"components": found["components"]}).validate(value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_example_is_answered_as_the_description_says(
    services: dict[str, Service], kind: str
) -> None:
    service = services[kind]
    found, tried = document(service), 0
    for path, methods in found["paths"].items():
        for about in methods.values():
            body = about.get("requestBody", {}).get("content", {}).get("application/json", {})
            for example in body.get("examples", {}).values():
                check(found, body["schema"], example["value"])
                response = service.post(path, example["value"])
                assert response.status_code == 200, response.text
                kinds = about["responses"]["200"]["content"]
                given = response.headers["content-type"]
                assert given in kinds
                if given == "application/json":
                    check(found, kinds[given]["schema"], response.json())
                tried += 1
    assert tried >= 3


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_is_answered_as_the_description_says(
    services: dict[str, Service], kind: str
) -> None:
    service = services[kind]
    found = document(service)
    for path, methods in found["paths"].items():
        about = methods.get("get")
        if about is None or about.get("parameters"):
            continue
        response = service.get(path)
        assert response.status_code == 200, path
        given = response.headers["content-type"].partition(";")[0]
        schema = about["responses"]["200"]["content"][given]["schema"]
        check(found, schema, response.json() if given == "application/json" else response.text)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_refused_is_refused_as_the_description_says(
    services: dict[str, Service], kind: str
) -> None:
    service = services[kind]
    found = document(service)
    for path, methods in found["paths"].items():
        if "post" not in methods:
            continue
        for payload in ({}, [], None, {"rows": "x"}, {"question": 1}, "text"):
            response = service.post(path, payload)
            declared = methods["post"]["responses"]
            if response.status_code != 200:
                stated = declared[str(response.status_code)]["content"]["application/json"]
                check(found, stated["schema"], response.json())


def test_each_kind_has_its_own_endpoints_and_the_common_ones(services: dict[str, Service]) -> None:
    paths = {kind: set(document(service)["paths"]) for kind, service in services.items()}
    common = set.intersection(*paths.values())
    assert {"/v1/info", "/v1/feedback", "/healthz", "/readyz", "/livez", "/metrics"} <= common
    assert {"/v1/ask", "/v1/search", "/v1/chat/completions", "/v1/models"} <= paths["rag"] - common
    assert paths["recommend"] - common == {"/v1/recommend", "/v1/seen"}
    assert paths["tabular"] - common == {"/v1/predict"}


def test_the_limits_of_a_service_stand_in_its_description(tmp_path: Path) -> None:
    limits = {"question_chars": 77, "k": 7}
    found = document(serving(notes_bundle(tmp_path / "notes"), limits=limits))
    ask = found["components"]["schemas"]["Ask"]["properties"]
    assert ask["question"]["maxLength"] == 77
    assert [one.get("maximum") for one in ask["k"]["anyOf"]] == [7, None]


def test_pages_load_nothing_from_elsewhere_and_run_no_inline_script(
    services: dict[str, Service],
) -> None:
    response = services["rag"].get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in response.headers["content-security-policy"]
    for path in FOLDER.iterdir():
        text = path.read_text("utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org)", text), path
        if path.suffix == ".html":
            assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", text), path
            for name in re.findall(r'(?:src|href)="page/([^"]+)"', text):
                assert services["rag"].get(f"/page/{name}").status_code == 200, name


def test_the_first_page_is_that_of_the_kind(services: dict[str, Service]) -> None:
    for one in services.values():
        response = one.get("/")
        assert response.status_code == 200 and "<!doctype html>" in response.text
    assert services["rag"].request("HEAD", "/docs").status_code == 200
