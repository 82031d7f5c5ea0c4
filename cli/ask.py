"""`run.py ask`: a streamed answer with citations, from the champion."""

import argparse
import json

from cli.output import next_step, say
from cli.tracing import tracing
from lifecycle.errors import RegistryError
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State
from lifecycle.tracking import Tracker, Version
from rag.predictor import RagPredictor, load
from rag.types import Answer


def main(options: argparse.Namespace) -> int:
    state = State.from_env()
    tracker = tracker_of(load_stack(options.stack, state), state)
    version = _version(tracker, options)
    predictor = load(tracker.bundle_path(version))
    with tracing(tracker, version, options.trace):
        if options.json:
            print(json.dumps(predictor.answer(options.question, options.k) | _served(version)))
            return 0
        answer = _stream(predictor, options)
    _citations(answer)
    say(
        f"\n{version.name} version {version.number}, data version "
        f"{version.tags.get('data_version', '')}, confidence {answer.confidence:.2f}"
    )
    next_step(f"python run.py models {version.name} --lineage")
    return 0


def _version(tracker: Tracker, options: argparse.Namespace) -> Version:
    if options.version is not None:
        return tracker.version(options.name, options.version)
    tracker.versions(options.name)
    champion = tracker.champion(options.name)
    if champion is None:
        raise RegistryError(
            f"{options.name} has no champion.",
            f"Promote a version: python run.py models {options.name}.",
        )
    return champion


def _stream(predictor: RagPredictor, options: argparse.Namespace) -> Answer:
    for event in predictor.ask(options.question, options.k):
        if isinstance(event, Answer):
            print()
            return event
        print(event, end="", flush=True)
    raise AssertionError("a generator ends with its Answer")


def _citations(answer: Answer) -> None:
    if answer.citations:
        say()
    for citation in answer.citations:
        chunk = citation.chunk
        place = f"{chunk.uri}:{chunk.line_start}-{chunk.line_end}"
        if chunk.page is not None:
            place = f"{chunk.uri}, page {chunk.page}"
        say(f"[{citation.number}] {place}  {chunk.heading}")


def _served(version: Version) -> dict[str, str | int]:
    return {
        "model": version.name,
        "version": version.number,
        "data_version": version.tags.get("data_version", ""),
    }
