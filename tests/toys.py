"""Small things that several tests need."""

from pathlib import Path

from lifecycle import bundle
from lifecycle.bundle import Bundle, Manifest


def make(dest: Path, text: str = "weights", data: str = "d1") -> Bundle:
    """A bundle of two small files, no model in it."""

    def fill(folder: Path) -> None:
        (folder / "sub").mkdir()
        (folder / "sub" / "weights.bin").write_text(text)
        (folder / "settings.json").write_text("{}")

    manifest = Manifest(
        name="toy",
        kind="rag",
        use_case="toy",
        data_version=data,
        code_version={"commit": "", "dirty": False, "fingerprint": "f"},
    )
    return bundle.write(dest, manifest, fill)
