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


NOTES = {
    "tea.md": """# Tea

## Green tea

Green tea should steep for three minutes in water of 80 degrees. Hotter water makes it bitter.
The leaves can be used a second time, for a shorter while.

## Black tea

Black tea needs boiling water and steeps for five minutes. Milk goes in after the tea.
""",
    "garden.md": """# Garden

Tomatoes want full sun and are watered in the morning at the foot of the plant. Side shoots are
pinched out every week so that the fruit grows larger.

## Compost

Compost is turned once a month and must stay moist but never wet. Egg shells decay slowly, so they
are crushed before they go onto the heap.
""",
    "bike.txt": """The chain of the bicycle is oiled after every ride in the rain. Tyres are pumped
to four bar in summer and to three and a half bar in winter, when grip matters more than speed.

A squeaking brake is cleaned with alcohol first; if that does not help, the pads are replaced.
""",
    "house.rst": """House
=====

Heating
-------

The boiler is serviced every autumn by the firm in the village. Radiators are bled when they
gurgle, starting with the one farthest from the boiler.

Keys
----

The spare key lies with the neighbours in number seven, who also water the flowers in August.
""",
}


def write_notes(folder: Path) -> None:
    """Four short documents on things of daily life."""
    folder.mkdir(parents=True)
    for name, text in NOTES.items():
        (folder / name).write_text(text)
