#!/usr/bin/env python
"""Run a pipeline, ask a model, look at what is registered: ``python run.py --help``."""

import sys

from cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
