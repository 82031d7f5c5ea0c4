"""From a source to the files of a streaming service, or to where they lie."""

import json
from pathlib import Path

from classic.recommend.config import FilmSource
from classic.recommend.films import FilmTables
from lifecycle.atomic import write_text
from lifecycle.content import hash_json
from lifecycle.errors import SourceError
from lifecycle.hashing import digests

SOURCE = "source.json"


def digest(source: FilmSource, root: Path) -> str:
    """What the source's files hold; nothing for a simulation. Raises SourceError for no folder."""
    if source.kind == "simulated":
        return ""
    folder = _folder(source, root)
    return hash_json(digests(folder, sorted(p.name for p in folder.iterdir() if p.is_file())))


def load(source: FilmSource, root: Path, out: Path) -> str:
    """Simulated files go to ``out``; of others only their place does. A sentence about it."""
    if source.kind == "simulated":
        from classic.recommend.service_files import write
        from classic.recommend.simulate import simulate

        simulation = simulate(source.simulation)
        write(simulation, out)
        write_text(out / SOURCE, json.dumps({"kind": "service", "path": ""}))
        chosen = source.simulation
        return (
            f"{len(simulation.users):,} simulated events of {chosen.users:,} users "
            f"on {chosen.films:,} films"
        )
    folder = _folder(source, root)
    write_text(out / SOURCE, json.dumps({"kind": source.kind, "path": str(folder)}))
    return f"{source.kind} files in {folder}"


def tables(loaded: Path) -> FilmTables:
    """The tables of what ``load`` left in ``loaded``, unchecked."""
    from classic.recommend.films import service_files
    from classic.recommend.movielens import read_folder

    stored = json.loads((loaded / SOURCE).read_text("utf-8"))
    folder = Path(stored["path"]) if stored["path"] else loaded
    return read_folder(folder) if stored["kind"] == "movielens" else service_files(folder)


def _folder(source: FilmSource, root: Path) -> Path:
    folder = root / Path(source.path).expanduser()
    if not folder.is_dir():
        raise SourceError(
            f"source.path={source.path!r} is no folder (looked in {root}).",
            "Name the folder of the files: --set source.path=FOLDER.",
        )
    return folder.resolve()
