"""Parse, dispatch, and turn errors into one line and an exit code."""

import argparse
import gc
import sys
from collections.abc import Callable
from importlib import import_module

from cli import parser
from lifecycle.errors import MLOpsError, UsageError, did_you_mean

COMMANDS: dict[str, Callable[[], parser.Parser]] = {
    "ask": parser.ask_parser,
    "compare": parser.compare_parser,
    "keys": parser.keys_parser,
    "models": parser.models_parser,
    "new": parser.new_parser,
    "promote": parser.promote_parser,
    "rollback": parser.rollback_parser,
    "serve": parser.serve_parser,
    "ui": parser.ui_parser,
}


def main(arguments: list[str]) -> int:
    """Run one command line; returns the exit code (see ``lifecycle.errors``)."""
    debug = "--debug" in arguments
    # Importing a million objects that stay, the collector would look through them again and again.
    gc.set_threshold(100_000, 50, 50)
    try:
        return _run(arguments)
    except MLOpsError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141


def _run(arguments: list[str]) -> int:
    command, options = _parse(arguments)
    if command == "pipeline" and options.pipeline is None:
        parser.pipeline_parser().print_help()
        return 0
    import_module("cli.environment").prepare(options.debug)
    done: int = import_module(f"cli.{command}").main(options)
    return done


def _parse(arguments: list[str]) -> tuple[str, argparse.Namespace]:
    first = arguments[0] if arguments else ""
    if first in COMMANDS:
        return first, COMMANDS[first]().parse(arguments[1:])
    if first and not first.startswith("-"):
        raise UsageError(f"unknown command {first!r}.", did_you_mean(first, COMMANDS))
    return "pipeline", parser.pipeline_parser().parse(arguments)
