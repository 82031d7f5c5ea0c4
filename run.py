#!/usr/bin/env python
"""Run a pipeline, ask a model, look at what is registered: ``python run.py --help``."""

import gc
import sys

from cli.main import main

if __name__ == "__main__":
    code = main(sys.argv[1:])
    # What is alive now dies with the process, and collecting it at exit takes a second. DuckDB's
    # bindings would take what is not collected for a leak and say so.
    if "duckdb" not in sys.modules:
        gc.freeze()
    sys.exit(code)
