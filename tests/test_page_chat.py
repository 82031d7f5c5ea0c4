"""The chat page in a browser, as a person uses it."""

import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lifecycle.keys import KeyRing, add_key
from lifecycle.requests import read
from rag.types import Answer, Passage
from services.guard.chain import Guard
from tests.browser import (
    DARK,
    LIGHT,
    PHONE,
    Site,
    Watched,
    low_contrast,
    out_of_reach,
    site,
    too_wide,
)
from tests.serving import notes_bundle

NONSENSE = "Who won the chess olympiad of 1924?"
TEA = "How long should green tea steep?"
HOSTILE = (
    "three <script>window.hit = 1</script><img src=x onerror='window.hit = 1'> "
    "[x](javascript:window.hit=1)"
)


@pytest.fixture(scope="module")
def notes(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("notes")
    with site(notes_bundle(folder / "notes"), folder / "log") as found:
        yield found


def ask(page: Any, question: str = TEA) -> Any:
    """Ask, and wait for the end of the answer."""
    page.get_by_role("textbox", name="Your question").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()
    turn = page.get_by_role("article").last
    turn.locator("footer").wait_for()
    return turn


def test_an_answer_comes_with_its_sources_and_its_model(page: Any, notes: Site) -> None:
    page.goto(notes.url)
    turn = ask(page)
    assert "steep for three minutes" in turn.locator(".answer").inner_text()
    assert turn.locator(".asked").inner_text() == TEA
    assert re.search(r"confidence 0\.\d\d|confidence 1\.00", turn.locator("footer").inner_text())
    assert page.locator("#model").inner_text() == "notes version 0 · data tea-three"
    assert "tea.md" in turn.get_by_role("list", name="Sources").inner_text()
    assert "Ask notes" in page.title()


def test_a_citation_opens_its_document_at_the_passage(page: Any, notes: Site) -> None:
    page.goto(notes.url)
    mention = ask(page).get_by_role("button", name="Source 1").first
    mention.click()
    opened = page.get_by_role("dialog")
    marked = opened.locator("mark").inner_text()
    assert "steep for three minutes" in marked
    page.wait_for_function("document.querySelector('#text').textContent.startsWith('# Tea')")
    assert opened.locator("mark").inner_text() == marked
    assert "boiling water" in opened.inner_text() and opened.locator("mark").is_visible()
    page.keyboard.press("Escape")
    assert not opened.is_visible()
    assert mention.evaluate("node => node === document.activeElement")


def test_where_there_is_no_answer_it_says_so(page: Any, notes: Site) -> None:
    page.goto(notes.url)
    turn = ask(page, NONSENSE)
    assert "no answer found" in turn.inner_text()
    assert turn.get_by_role("button", name="Source").count() == 0


def test_what_people_say_of_an_answer_is_kept(page: Any, notes: Site) -> None:
    page.goto(notes.url)
    turn = ask(page)
    turn.get_by_role("button", name="Bad answer").click()
    turn.get_by_role("textbox", name="What would have been right?").fill("Two minutes will do.")
    with page.expect_response("**/v1/feedback"):
        turn.get_by_role("button", name="Send").click()
    turn.get_by_text("Thank you.").wait_for()
    assert turn.get_by_role("button", name="Bad answer").get_attribute("aria-pressed") == "true"
    assert notes.records.flush()
    rows = read(notes.records.folder).to_pylist()
    answer = [row for row in rows if row["kind"] == "predict"][-1]
    said = [row for row in rows if row["request_id"] == answer["request_id"]][1:]
    assert [row["rating"] for row in said] == [0.0, 0.0]
    assert [row["correction"] for row in said] == [None, "Two minutes will do."]


def test_a_keyboard_is_enough(page: Any, notes: Site) -> None:
    page.goto(notes.url)
    page.wait_for_function("document.activeElement.id === 'question'")
    page.keyboard.type("How long should")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("green tea steep?")
    page.keyboard.press("Enter")
    page.locator(".turn footer").wait_for()
    assert page.locator(".asked").text_content() == "How long should\ngreen tea steep?"
    page.wait_for_function("document.activeElement.id === 'question'")
    for name in ("Bad answer", "Good answer"):
        page.keyboard.press("Shift+Tab")
        assert focused(page) == name
    page.keyboard.press("Space")
    page.get_by_text("Thank you.").wait_for()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    assert focused(page) == "Text of the document"
    page.keyboard.press("Escape")


def focused(page: Any) -> Any:
    return page.evaluate("document.activeElement.getAttribute('aria-label')")


def test_an_answer_can_be_stopped(page: Any, notes: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    left = threading.Event()

    class Endless:
        name = "endless"

        def stream(self, question: str, passages: Sequence[Passage]) -> Iterator[str | Answer]:
            try:
                while True:
                    yield "and so on "
                    threading.Event().wait(0.02)
            finally:
                left.set()

    served = notes.holder.current
    assert served is not None
    monkeypatch.setattr(served.predictor, "generator", Endless())
    page.goto(notes.url)
    page.get_by_role("textbox", name="Your question").fill(TEA)
    page.keyboard.press("Enter")
    page.get_by_text("and so on and so on").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("stopped").wait_for()
    assert left.wait(10)
    assert page.get_by_role("button", name="Ask", exact=True).is_visible()


def test_a_hostile_document_does_nothing(page: Any, browser: Any, tmp_path: Path) -> None:
    """It reaches the page as the text of an answer, of a passage and of a document, and as the name
    of a data version."""
    with site(notes_bundle(tmp_path / "notes", HOSTILE), tmp_path / "log") as hostile:
        page.goto(hostile.url)
        turn = ask(page, f"{TEA} <img src=y onerror='window.hit = 1'>")
        assert "<script>window.hit = 1</script>" in turn.locator(".answer").inner_text()
        assert "<script>" in page.locator("#model").inner_text()
        turn.get_by_role("button", name="Source 1").first.click()
        page.get_by_role("dialog").get_by_text("<script>window.hit = 1</script>").wait_for()
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.hit") is None
        assert page.locator("main img, dialog img, main script, main a, dialog a").count() == 0


def test_a_script_that_got_into_the_page_would_not_run(
    page: Any, notes: Site, watched: Watched
) -> None:
    failed: list[Any] = []
    page.on("requestfailed", lambda one: failed.append((one.url, one.failure)))
    page.goto(notes.url)
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.hit = 1";
          document.body.append(script);
          document.querySelector("#welcome").innerHTML = "<img src=x onerror='window.hit = 1'>" +
            "<img src='https://example.org/x.png'><a href='javascript:window.hit = 1'>x</a>";
          document.querySelector("#welcome a").click();
        }"""
    )
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.hit") is None
    refused = [one for one in watched.errors if "Content Security Policy" in one]
    assert len(refused) == 4
    watched.errors.clear()
    assert ("https://example.org/x.png", "csp") in failed
    watched.asked.remove("https://example.org/x.png")


@pytest.mark.parametrize("page", [PHONE], indirect=True, ids=["phone"])
def test_nothing_is_wider_than_a_phone(page: Any, notes: Site) -> None:
    page.goto(notes.url)
    ask(page).get_by_role("button", name="Bad answer").click()
    assert not too_wide(page)


@pytest.mark.parametrize("page", [LIGHT, DARK], indirect=True, ids=["light", "dark"])
def test_everything_can_be_read_and_has_a_name(page: Any, notes: Site) -> None:
    page.goto(notes.url)
    ask(page, NONSENSE)
    ask(page).get_by_role("button", name="Bad answer").click()
    assert not low_contrast(page)
    assert not out_of_reach(page)
    page.get_by_role("button", name="Source 1").first.click()
    assert not low_contrast(page)
    assert not out_of_reach(page)


def test_colours_follow_the_system_until_somebody_chooses(page: Any, notes: Site) -> None:
    def ground() -> Any:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.goto(notes.url)
    button = page.get_by_role("button", name="Dark colours")
    light = ground()
    page.emulate_media(color_scheme="dark")
    dark = ground()
    assert dark != light and button.get_attribute("aria-pressed") == "true"
    button.click()
    assert ground() == light and button.get_attribute("aria-pressed") == "false"
    page.reload()
    assert ground() == light


def test_a_service_with_keys_asks_for_one(
    page: Any, notes: Site, watched: Watched, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    key = add_key(path, tmp_path / "lock", "me", ["predict"])
    guard = Guard(keys=KeyRing(path=path))
    with site(notes.path, tmp_path / "log", guard) as closed:
        page.goto(closed.url)
        dialog = page.get_by_role("dialog", name="API key")
        dialog.get_by_label("API key", exact=True).last.fill("wrong")
        page.keyboard.press("Enter")
        dialog.get_by_text("This key is not valid.").wait_for()
        dialog.get_by_label("API key", exact=True).last.fill(key)
        page.keyboard.press("Enter")
        turn = ask(page)
        assert "three minutes" in turn.inner_text()
        turn.get_by_role("button", name="Good answer").click()
        turn.get_by_text("lacks the scope 'feedback'").wait_for()
    assert all("401" in error or "403" in error for error in watched.errors)
    watched.errors.clear()
