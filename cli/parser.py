"""The words that the command line takes. Nothing heavy is imported here: `--help` is instant."""

import argparse
from typing import NoReturn

from lifecycle.errors import UsageError, did_you_mean

PIPELINES = ("rag", "classic")
DEFAULT_USE_CASE = {"rag": "handbook", "classic": "movies"}
OWN_DATA_USE_CASE = {"rag": "documents", "classic": "movies"}

EPILOG = """\
commands (each has its own --help):
  run.py --pipeline NAME          run a pipeline: from data to a registered, gated model
  run.py ask QUESTION             a streamed answer with citations, from the champion
  run.py models [NAME]            registered models: champion, metrics, data version
  run.py compare --use-case NAME  all runs of a use case, best first on each holdout
  run.py promote NAME --version N make a version the champion
  run.py rollback NAME            give the place back to the champion before
  run.py serve NAME               the champion over HTTP, with a page and API docs
  run.py new usecase NAME         a folder for a CSV or Parquet file of your own
  run.py ui                       the MLflow UI on this project's store
  run.py keys add|list|revoke     who may ask a service, and for what

examples:
  python run.py --pipeline rag
  python run.py --pipeline classic --set data.window=2024-10:2024-12 --set model=ease
  python run.py --pipeline rag --set retrieval.k=12 --set chunking.max_tokens=160
  python run.py --pipeline rag --name notes --set source.paths='["~/notes"]'
"""


class Parser(argparse.ArgumentParser):
    """Raises UsageError, with the nearest valid word, instead of printing usage and leaving."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}.", f"See {self.prog} --help.")

    def parse(self, arguments: list[str]) -> argparse.Namespace:
        values, unknown = self.parse_known_args(arguments)
        if unknown:
            self._refuse(unknown[0])
        return values

    def _refuse(self, word: str) -> NoReturn:
        if word.startswith("-"):
            options = [o for o in self._option_string_actions if o.startswith("--")]
            raise UsageError(f"unknown option {word!r}.", did_you_mean(word, options))
        raise UsageError(f"unexpected word {word!r}.", f"See {self.prog} --help.")


def pipeline_parser() -> Parser:
    parser = _parser("run.py", "One lifecycle for every kind of model.", EPILOG)
    parser.add_argument("--pipeline", metavar="NAME", help=f"what to run: {', '.join(PIPELINES)}")
    parser.add_argument("--use-case", metavar="NAME", help="a folder under usecases/")
    parser.add_argument("--name", metavar="NAME", help="name of the registered model")
    parser.add_argument("--stack", metavar="NAME", default="local", help="a file under stacks/")
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="override one setting"
    )
    parser.add_argument("--no-cache", action="store_true", help="run every step again")
    parser.add_argument(
        "--require-promotion", action="store_true", help="exit with 3 unless it is champion"
    )
    return parser


def ask_parser() -> Parser:
    parser = _parser("run.py ask", "Answer a question from the champion, with citations.")
    parser.add_argument("question")
    parser.add_argument("--name", metavar="NAME", default="handbook", help="registered model")
    parser.add_argument("--version", metavar="N", type=int, help="this version, not the champion")
    parser.add_argument("--k", metavar="K", type=int, help="passages to retrieve")
    parser.add_argument(
        "--filter",
        metavar="FIELD=VALUE",
        action="append",
        default=[],
        help="only from there: uri, title, heading, suffix, page; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--trace", action="store_true", help="record a trace in MLflow")
    return _with_stack(parser)


def models_parser() -> Parser:
    parser = _parser("run.py models", "List registered models and their versions.")
    parser.add_argument("name", nargs="?", help="one model, with its versions and audit trail")
    parser.add_argument(
        "--lineage", action="store_true", help="where each version came from: data, code, run"
    )
    parser.add_argument(
        "--data-version", metavar="ID", help="the versions trained on this data version"
    )
    return _with_stack(parser)


def compare_parser() -> Parser:
    parser = _parser("run.py compare", "All runs of a use case side by side.")
    parser.add_argument(
        "--use-case", metavar="NAME", required=True, help="a folder under usecases/"
    )
    parser.add_argument("--name", metavar="NAME", help="only runs of this registered model")
    parser.add_argument(
        "--metric", metavar="NAME", action="append", default=[], help="show these metrics instead"
    )
    return _with_stack(parser)


def promote_parser() -> Parser:
    parser = _parser("run.py promote", "Make a version of a model its champion.")
    parser.add_argument("name")
    parser.add_argument("--version", metavar="N", type=int, required=True)
    parser.add_argument("--reason", metavar="TEXT", default="by hand")
    return _with_stack(parser)


def rollback_parser() -> Parser:
    parser = _parser("run.py rollback", "Give the champion's place back to the one before.")
    parser.add_argument("name")
    parser.add_argument("--reason", metavar="TEXT", default="by hand")
    return _with_stack(parser)


def serve_parser() -> Parser:
    parser = _parser("run.py serve", "Serve the champion of a model over HTTP.")
    parser.add_argument("name", help="registered model")
    parser.add_argument("--version", metavar="N", type=int, help="this version, not the champion")
    parser.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="where it listens")
    parser.add_argument("--port", metavar="PORT", type=int, default=3000)
    parser.add_argument(
        "--workers", metavar="N", type=int, default=0, help="processes (default: by cores or GPUs)"
    )
    parser.add_argument(
        "--gpus", metavar="N", help="auto or a number, instead of what the model was made with"
    )
    parser.add_argument(
        "--insecure", action="store_true", help="ask nobody for a key, whatever the address"
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="one setting of the service, as limits.seconds=60",
    )
    return _with_stack(parser)


def new_parser() -> Parser:
    parser = _parser("run.py new", "Write the folder of a new use case from a table of your own.")
    parser.add_argument("what", choices=("usecase",), help="what to make")
    parser.add_argument("name", help="lower-case letters, digits and _")
    parser.add_argument(
        "--from", dest="source", metavar="PATH", required=True, help="CSV, TSV, Parquet or a folder"
    )
    parser.add_argument("--target", metavar="COLUMN", required=True, help="what to predict")
    return parser


def ui_parser() -> Parser:
    parser = _parser("run.py ui", "Serve the MLflow UI on this project's store.")
    parser.add_argument("--port", metavar="PORT", type=int, default=5000)
    parser.add_argument(
        "--zenml", action="store_true", help="serve ZenML's dashboard instead (loopback only)"
    )
    return _with_stack(parser)


def keys_parser() -> Parser:
    parser = _parser("run.py keys", "API keys of services: add one, list them, revoke one.")
    parser.add_argument("action", choices=("add", "list", "revoke"))
    parser.add_argument("name", nargs="?", help="of the key to add or revoke")
    parser.add_argument(
        "--scopes",
        metavar="SCOPE,SCOPE",
        default="predict,feedback",
        help="what the key may do: predict, feedback, admin (default: predict,feedback)",
    )
    parser.add_argument("--file", metavar="FILE", help="this file, not the one in the state folder")
    return parser


def _with_stack(parser: Parser) -> Parser:
    parser.add_argument("--stack", metavar="NAME", default="local", help="a file under stacks/")
    return parser


def _parser(prog: str, description: str, epilog: str = "") -> Parser:
    parser = Parser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--debug", action="store_true", help="show the libraries' logs, and tracebacks"
    )
    return parser
