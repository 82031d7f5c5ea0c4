"""Chromium, and services for it to open: on the loopback, in this process."""

import re
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from lifecycle import bundle
from lifecycle.bundle import Manifest
from lifecycle.requests import RequestLog
from services.app import build
from services.context import Context
from services.guard.chain import Guard
from services.metrics import Metrics
from services.origins import Folder
from services.served import Holder
from services.settings import ServiceSettings
from tests.serving import free_port
from tests.tabular_contract import learning, schema, table

# Without them Chromium calls home, or wants what a container does not have.
ARGUMENTS = """--no-sandbox --disable-gpu --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync""".split()

LIGHT, DARK = {"color_scheme": "light"}, {"color_scheme": "dark"}
PHONE = {"viewport": {"width": 360, "height": 640}}
ROLES = ("button", "textbox", "combobox", "spinbutton", "link", "dialog")


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser; skips the test where there is none."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is missing: pip install playwright"
    )
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Site:
    """A service that listens."""

    path: Path
    url: str
    holder: Holder
    records: RequestLog


@contextmanager
def site(path: Path, folder: Path, guard: Guard | None = None) -> Iterator[Site]:
    """The bundle at ``path`` behind ``guard``, with a request log in ``folder``."""
    holder = Holder(Folder(path, "cpu"))
    assert holder.check(), holder.failure
    settings, records = ServiceSettings(port=free_port()), RequestLog(folder)
    context = Context(settings, holder, ThreadPoolExecutor(2), Metrics(), records)
    app: Any = build(context, guard or Guard())
    config = uvicorn.Config(app, port=settings.port, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield Site(path, f"{settings.address}/", holder, records)
    finally:
        server.should_exit = True
        thread.join(10)
        records.close()


def rows_bundle(folder: Path) -> Path:
    """A model of rows whose formula stands in ``tests.tabular_contract``."""
    from classic.tabular.model import train
    from classic.tabular.stages.train import MODEL

    trained = train(table("binary", 600, 1), schema("binary"), "binary", learning("linear"))
    manifest = Manifest(
        name="rows",
        kind="classic",
        use_case="rows",
        data_version="d1",
        code_version={},
        settings={"problem": "binary"},
    )
    return bundle.write(folder, manifest, lambda out: trained.model.save(out / MODEL)).path


@dataclass
class Watched:
    """What a page did that nobody sees: errors on its console, and whom it asked."""

    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def _note(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)


CONTRASTS = """() => {
  const parts = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const over = (top, ground) => top.rgb.map((one, n) => one * top.a + ground[n] * (1 - top.a));
  const ground = (node) => {
    if (!node) return [255, 255, 255];
    const own = parts(getComputedStyle(node).backgroundColor);
    return own.a === 1 ? own.rgb : over(own, ground(node.parentElement));
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((one) => one / 255)
      .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !node.checkVisibility()) continue;
    const below = ground(node);
    const both = [over(parts(getComputedStyle(node).color), below), below].map(luminance);
    const ratio = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    found.push([texts.currentNode.data.trim(), ratio]);
  }
  return found;
}"""


def low_contrast(page: Any) -> list[Any]:
    """Visible texts whose contrast with what is below them is under 4.5 (WCAG 2.2, 1.4.3)."""
    found = page.evaluate(CONTRASTS)
    assert len(found) > 5
    return [one for one in found if one[1] < 4.5]


def too_wide(page: Any) -> list[str]:
    """What has to be scrolled sideways: the page itself, or its parts."""
    return page.evaluate(
        """() => [document.documentElement, ...document.querySelectorAll("body, main, #talk")]
            .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.tagName)"""
    )


def out_of_reach(page: Any) -> list[str]:
    """Controls that have no name, and elements out of the order of the page."""
    controls = [one.aria_snapshot() for role in ROLES for one in page.get_by_role(role).all()]
    nameless = [one for one in controls if not re.match(r"- '?[a-z]+ \"", one)]
    assert controls and page.locator("main").count() == page.locator("h1").count() == 1
    return nameless + page.eval_on_selector_all(
        "[tabindex]", "all => all.filter(one => one.tabIndex > 0).map(one => one.outerHTML)"
    )
