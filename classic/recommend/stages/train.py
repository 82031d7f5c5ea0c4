"""From what may be learned from to a recommender, as a bundle."""

import json
import time
from pathlib import Path

from classic.recommend.config import Training
from classic.recommend.holdout import FILMS, read
from lifecycle import bundle as bundles
from lifecycle.bundle import Manifest, link_or_copy
from lifecycle.fingerprint import code_version, libraries
from lifecycle.stages import VERSION

ANSWERS = "classic.predictor"
MODEL = "recommender"
LIBRARIES = ["implicit", "lightgbm", "numba", "numpy", "pandas", "pyarrow", "pydantic"]
LIBRARIES += ["PyYAML", "scipy", "threadpoolctl", "rich"]


def train(parts: Path, version: Path, name: str, use_case: str, chosen: Training, out: Path) -> str:
    """Fit the chosen contender on the events of ``parts`` that are not held out, and make the
    bundle ``out``. A sentence about it."""
    from classic.recommend.recommender import Recommender

    holdout = read(parts)
    started = time.perf_counter()
    recommender = Recommender(chosen.contender, chosen.cold).fit(holdout.train, holdout.catalogue)
    spent = time.perf_counter() - started
    settings = chosen.model_dump(mode="json", exclude={"resources"})
    manifest = Manifest(
        name=name,
        kind="classic",
        use_case=use_case,
        data_version=json.loads((version / VERSION).read_text("utf-8"))["id"],
        code_version=code_version([ANSWERS]).to_dict(),
        libraries=libraries(LIBRARIES),
        inputs={"user_id": "string", "history": "list of film ids", "k": "integer"},
        outputs={"items": "list of film_id, title, score"},
        settings={"problem": "recommendation", **settings},
        resources=chosen.resources.model_dump(),
    )

    def fill(folder: Path) -> None:
        recommender.save(folder / MODEL)
        link_or_copy(parts / FILMS, folder / FILMS)

    made = bundles.write(out, manifest, fill)
    users, items = len(recommender.user_ids), len(recommender.item_ids)
    return (
        f"{chosen.model} ({chosen.contender.kind}) for {users:,} users and {items:,} films "
        f"in {spent:.1f} s: bundle {made.manifest.bundle_id}"
    )
