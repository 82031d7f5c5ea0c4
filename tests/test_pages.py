"""The pages of films, of rows and of the API in a browser."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.browser import (
    DARK,
    LIGHT,
    PHONE,
    Site,
    Watched,
    low_contrast,
    out_of_reach,
    rows_bundle,
    site,
    too_wide,
)
from tests.serving import films_bundle


@pytest.fixture(scope="module")
def sites(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Site]]:
    folder = tmp_path_factory.mktemp("sites")
    bundles = {"films": films_bundle(folder / "films"), "rows": rows_bundle(folder / "rows")}
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(site(path, folder / f"log-{name}"))
            for name, path in bundles.items()
        }


@pytest.fixture
def films(sites: dict[str, Site]) -> Site:
    return sites["films"]


@pytest.fixture
def rows(sites: dict[str, Site]) -> Site:
    return sites["rows"]


def use(page: Any, name: str, sites: dict[str, Site]) -> None:
    """Let a page show all that it has."""
    if name == "docs":
        page.goto(f"{sites['rows'].url}docs")
        page.get_by_text("/v1/predict").click()
        page.get_by_role("button", name="Send").click()
        page.get_by_text('"predictions"').first.wait_for()
        return
    page.goto(sites[name].url)
    if name == "films":
        page.locator("#own li").first.wait_for()
    else:
        page.get_by_role("button", name="Fill in an example").click()
        page.get_by_role("button", name="Predict").click()
        page.locator("#result").wait_for()


@pytest.mark.parametrize("name", ["films", "rows", "docs"])
@pytest.mark.parametrize("page", [PHONE], indirect=True, ids=["phone"])
def test_nothing_is_wider_than_a_phone(page: Any, sites: dict[str, Site], name: str) -> None:
    use(page, name, sites)
    assert not too_wide(page)


@pytest.mark.parametrize("name", ["films", "rows", "docs"])
@pytest.mark.parametrize("page", [LIGHT, DARK], indirect=True, ids=["light", "dark"])
def test_everything_can_be_read_and_has_a_name(
    page: Any, sites: dict[str, Site], name: str
) -> None:
    use(page, name, sites)
    assert not low_contrast(page)
    assert not out_of_reach(page)


def test_films_for_a_user_stand_beside_those_of_the_rule(page: Any, films: Site) -> None:
    page.goto(films.url)
    page.locator("#own li").first.wait_for()
    own, rule = (page.locator(f"{one} strong").all_inner_texts() for one in ("#own", "#all"))
    assert len(own) == len(rule) == 12 and own != rule
    reasons = page.locator("#own .reason").all_inner_texts()
    assert any(one.startswith("similar to ") for one in reasons)
    assert set(page.locator("#all .reason").all_inner_texts()) == {"popular"}
    seen = page.locator("#seen strong").all_inner_texts()
    assert seen and not set(seen) & set(own)
    told = page.locator("#told").inner_text()
    page.get_by_role("button", name="Another user").click()
    wait_until_told(page, told)
    assert page.locator("#seen strong").all_inner_texts() != seen
    genre = page.get_by_role("combobox", name="Genre")
    kind = genre.locator("option").nth(1).inner_text()
    told = page.locator("#told").inner_text()
    genre.select_option(kind)
    wait_until_told(page, told)
    assert all(kind in one for one in page.locator("#own li").all_inner_texts())


def wait_until_told(page: Any, before: str) -> None:
    """Until the films page says that other films are shown than ``before``."""
    other = "before => document.querySelector('#told').textContent !== before"
    page.wait_for_function(other, arg=before)


def test_somebody_unknown_gets_the_rule(page: Any, films: Site, watched: Watched) -> None:
    page.goto(films.url)
    page.locator("#own li").first.wait_for()
    page.get_by_role("combobox", name="User").fill("nobody")
    page.keyboard.press("Enter")
    page.get_by_text("There is no user 'nobody'.").wait_for()
    own, rule = (page.locator(f"{one} strong").all_inner_texts() for one in ("#own", "#all"))
    assert own == rule and not page.locator("#past").is_visible()
    assert "404" in watched.errors.pop()


def test_a_form_is_made_of_the_columns_of_the_model(page: Any, rows: Site) -> None:
    page.goto(rows.url)
    page.get_by_role("button", name="Predict").click()
    assert not page.locator("#result").is_visible()
    page.get_by_role("button", name="Fill in an example").click()
    found = []
    for size in ("9", "-9"):
        page.get_by_role("spinbutton", name="size").fill(size)
        with page.expect_response("**/v1/predict"):
            page.get_by_role("button", name="Predict").click()
        page.locator("#result").wait_for()
        found.append(page.locator("#result .found").inner_text())
    assert found == ["1", "0"]
    assert "score" in page.locator("#result").inner_text()
    assert "-10 to 10" in page.locator("#fields").inner_text()
