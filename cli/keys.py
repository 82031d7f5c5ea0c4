"""`run.py keys`: who may ask a service, and for what."""

import argparse
from pathlib import Path

from cli.output import next_step, print_table, say
from lifecycle.errors import UsageError
from lifecycle.keys import add_key, read_keys, revoke_key
from lifecycle.state import State


def main(options: argparse.Namespace) -> int:
    state = State.from_env()
    path = Path(options.file).expanduser() if options.file else state.keys
    if options.action == "list":
        _list(path)
    elif options.name is None:
        raise UsageError(f"which key? run.py keys {options.action} needs a name.")
    elif options.action == "add":
        _add(path, state, options)
    else:
        revoked = revoke_key(path, state.locks / "keys.lock", options.name)
        say(f"{revoked.name} is revoked; running services refuse it within two seconds.")
        next_step("python run.py keys list")
    return 0


def _add(path: Path, state: State, options: argparse.Namespace) -> None:
    scopes = [scope.strip() for scope in options.scopes.split(",") if scope.strip()]
    secret = add_key(path, state.locks / "keys.lock", options.name, scopes)
    say(f"The key of {options.name} ({', '.join(scopes)}). It is not shown again:\n\n{secret}")
    next_step("curl -H 'authorization: Bearer KEY' http://127.0.0.1:3000/v1/info")


def _list(path: Path) -> None:
    keys = read_keys(path)
    if not keys:
        say("There are no keys yet.")
    else:
        rows = [
            [key.name, ", ".join(key.scopes), key.created, key.revoked or "-", key.digest[:8]]
            for key in keys
        ]
        print_table(["name", "scopes", "made", "revoked", "SHA-256 begins"], rows)
    next_step("python run.py keys add NAME --scopes predict,feedback")
