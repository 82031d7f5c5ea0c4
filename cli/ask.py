"""`run.py ask`: a streamed answer with citations, from the champion."""

import argparse
import json
import sys

from cli.output import next_step, say
from cli.tracing import tracing
from lifecycle.errors import RegistryError
from lifecycle.registry import Version
from lifecycle.stack import load_stack, tracker_of
from lifecycle.state import State
from lifecycle.tracking import Tracker
from rag.filters import Wanted, described, parsed
from rag.predictor import RagPredictor, load
from rag.types import Answer


def main(options: argparse.Namespace) -> int:
    filters = parsed(options.filter)
    state = State.from_env()
    tracker = tracker_of(load_stack(options.stack, state), state)
    version = _version(tracker, options)
    predictor = load(tracker.bundle_path(version), receipts=state.receipts)
    if filters and not predictor.retriever.index.filters.mask(filters).any():
        print(f"No chunk of {version.name} fits the filter {described(filters)}.", file=sys.stderr)
    with tracing(tracker, version, options.trace):
        if options.json:
            answered = predictor.answer(options.question, options.k, filters)
            print(json.dumps(answered | _served(version)))
            return 0
        answer = _stream(predictor, options, filters)
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


def _stream(predictor: RagPredictor, options: argparse.Namespace, filters: Wanted) -> Answer:
    for event in predictor.ask(options.question, options.k, filters):
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
