"""`run.py package`: a Bento of a model, and what runs it in a cluster."""

import argparse
import shlex
import sys
from pathlib import Path

from cli.output import next_step, say
from cli.serve import version_of
from lifecycle.atomic import write_text
from lifecycle.bundle import open_bundle
from lifecycle.keys import key_ring
from lifecycle.resources import Resources
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State
from services.bento import Bento, package, store
from services.kubernetes import Deployed, name_of, write


def main(options: argparse.Namespace) -> int:
    state = State.from_env()
    tracker = tracker_of(load_stack(options.stack, state), state)
    version = version_of(tracker, options)
    bundle = open_bundle(tracker.bundle_path(version), state.receipts)
    deployed = name_of(version.name) if options.kubernetes else ""
    bento = package(bundle, version.number, state.work)
    say(f"{version.name} version {version.number} is packaged as {bento.tag}")
    say(f"  bento         {bento.path}")
    say(f"  data version  {bundle.manifest.data_version}")
    say(f"  requires      {len(bento.requirements)} packages, Python {sys.version.split()[0]}")
    say(f"  image         bentoml containerize {bento.tag}")
    if options.kubernetes:
        folder = Path(options.kubernetes)
        resources = Resources.model_validate(bundle.manifest.resources)
        write(Deployed(deployed, options.image or bento.tag, resources), folder)
        write_text(folder / "Dockerfile", bento.dockerfile.read_text("utf-8"))
        say(f"  manifests     {folder} (how to apply them: deploy/README.md)")
    next_step(_serving(bento, state))
    return 0


def _serving(bento: Bento, state: State) -> str:
    """The command that serves the Bento here, with the keys of this state folder if there are."""
    variables = {"MLOPS_HOME": str(state.root)}
    if store() != Path("~/bentoml").expanduser().resolve():
        variables["BENTOML_HOME"] = str(store())
    if not len(key_ring(state)):
        variables["MLOPS_SERVICE"] = '{"insecure": true}'
    words = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    return f"{' '.join(words)} bentoml serve --do-not-track {bento.tag} --host 127.0.0.1"
