"""`run.py --pipeline NAME`: from data to a registered, gated model."""

import argparse
import time
from importlib import import_module
from typing import Any

from cli.environment import allow_hub
from cli.output import next_step, print_table, say
from cli.parser import DEFAULT_USE_CASE, OWN_DATA_USE_CASE, PIPELINES
from lifecycle import usecases
from lifecycle.addresses import bundle_at
from lifecycle.candidates import Judgement
from lifecycle.config import load_config, read_yaml
from lifecycle.errors import NotPromotedError, UsageError, did_you_mean
from lifecycle.lineage import version_facts
from lifecycle.registry import Version
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State
from lifecycle.tracking import Tracker


def main(options: argparse.Namespace) -> int:
    started = time.perf_counter()
    state = State.from_env()
    use_case = usecases.find(_use_case(options))
    file = use_case.config_file(options.pipeline)
    tree = import_module(f"{options.pipeline}.config").tree_of(read_yaml(file), str(file))
    config: Any = load_config(tree, file, options.set)
    stack = load_stack(options.stack, state)
    name = model_name(options.name or use_case.name)
    stages = import_module(f"{options.pipeline}.stages.load")
    tracker = tracker_of(stack, state)
    config = stages.resolved(config, lambda address: bundle_at(address, tracker))
    inputs = stages.inputs(config, use_case.folder)
    if stages.needs_hub(config):
        allow_hub()
    say(f"{options.pipeline} pipeline for {name} (use case {use_case.name}, stack {stack.name})")
    import_module("pipelines.runtime").start(state, stack)
    module = import_module(f"pipelines.{options.pipeline}")
    done = module.run(module.Request(name, use_case, config, inputs, not options.no_cache))
    _tell(tracker, name, done, time.perf_counter() - started)
    return _exit_code(done.output, options.require_promotion)


def model_name(name: str) -> str:
    """``name`` if it can name a model. Raises UsageError."""
    if not name or not all(c.isalnum() or c in "-_" for c in name):
        raise UsageError(f"--name {name!r} cannot name a model.", "Use letters, digits, - and _.")
    return name


def _use_case(options: argparse.Namespace) -> str:
    """The use case asked for; for a model of another name on own paths, the one for that."""
    if options.pipeline not in PIPELINES:
        raise UsageError(
            f"there is no pipeline {options.pipeline!r}.", did_you_mean(options.pipeline, PIPELINES)
        )
    if options.use_case:
        return str(options.use_case)
    if options.name and options.name in usecases.known():
        return str(options.name)
    fallback = OWN_DATA_USE_CASE if options.name else DEFAULT_USE_CASE
    return fallback[options.pipeline]


def _tell(tracker: Tracker, name: str, done: Any, seconds: float) -> None:
    version = tracker.version(name, done.output["version"])
    judgement = Judgement.from_dict(done.output["judgement"])
    if done.cached:
        say(f"  from cache, nothing changed: {', '.join(_short(s) for s in done.cached)}")
    _metrics(version, judgement)
    say()
    say(_sentence(done.output["status"], version, tracker.champion(name)))
    for reason in judgement.decision.reasons:
        say(f"  - {reason}")
    for label, value in version_facts(tracker, version):
        say(f"  {label:<13} {value}")
    say(f"  took          {seconds:.1f} s")
    next_step(_suggestion(done.output["status"], version))


def _short(step: str) -> str:
    return step.split("_", maxsplit=1)[0]


def _metrics(version: Version, judgement: Judgement) -> None:
    """The gate's rules as a table: what was measured, what was asked."""
    rows = [["yes" if r.passed else "NO", r.reason] for r in judgement.decision.results]
    say()
    print_table(["holds", "gate"], rows)


def _sentence(status: str, version: Version, champion: Version | None) -> str:
    label = f"{version.name} version {version.number}"
    served = f"version {champion.number}" if champion else "none"
    return {
        "promoted": f"{label} passed its gate and is the champion now.",
        "rejected": f"{label} was rejected by its gate; it is kept, the champion is {served}:",
        "unchanged": f"Nothing changed: {label} is this same model and the champion already.",
        "known": f"{label} is this same model and was champion before; the champion is {served}.",
    }[status]


def _suggestion(status: str, version: Version) -> str:
    if status == "known":
        return f"python run.py promote {version.name} --version {version.number}"
    if status == "rejected":
        return f"python run.py models {version.name} --lineage"
    if version.tags.get("kind") != "rag":
        return f"python run.py serve {version.name}"
    if version.name == "handbook":
        return 'python run.py ask "How do I roll back a model?"'
    return f'python run.py ask "…" --name {version.name}'


def _exit_code(output: dict[str, Any], required: bool) -> int:
    if required and output["status"] not in ("promoted", "unchanged"):
        return NotPromotedError.exit_code
    return 0
