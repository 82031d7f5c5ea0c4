"""The files of the page that a browser gets: read once, served from memory."""

from collections.abc import Mapping
from pathlib import Path

from services.http import Reply
from services.surfaces import Surface

FOLDER = Path(__file__).resolve().parent / "page"
TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
DOCS = "docs.html"
START: Mapping[Surface, str] = {
    "rag": "index.html",
    "recommend": "films.html",
    "tabular": "predict.html",
}


class Pages:
    """Replies by path: ``/`` for the kind of model, ``/docs``, and ``/page/…``."""

    def __init__(self, folder: Path = FOLDER) -> None:
        files = {path.name: path for path in folder.iterdir() if path.suffix in TYPES}
        self._replies = {
            name: Reply(
                path.read_bytes(),
                media_type=TYPES[path.suffix],
                headers=((b"cache-control", b"no-cache"),),
            )
            for name, path in files.items()
        }

    def find(self, path: str, surface: Surface | None) -> Reply | None:
        if path == "/docs":
            return self._replies[DOCS]
        if path == "/":
            return (
                self._replies.get(START.get(surface, DOCS) if surface else DOCS)
                or (self._replies[DOCS])
            )
        return self._replies.get(path.removeprefix("/page/")) if path.startswith("/page/") else None
