# PYTHON=python3.12   the interpreter that the virtual environment is made with (3.11 or newer)
# VENV=.venv          where the virtual environment lies
# ARGS='...'          more words for run.py or pytest: make rag ARGS='--set retrieval.k=8'
PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --no-input --disable-pip-version-check
PACKAGES = lifecycle rag classic services steps pipelines cli usecases
UNFINISHED = $(VENV)/.unfinished

.DEFAULT_GOAL = help
.NOTPARALLEL:
.PHONY: help rag classic test lint format lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile
	@sed -n 's/^# \([A-Z]*=.*\)/  \1/p' Makefile

rag: $(VENV)/.requirements.txt ## set up, then run the RAG pipeline on the handbook
	$(BIN)/python run.py --pipeline rag $(ARGS)

classic: $(VENV)/.requirements.txt ## set up, then run the classic pipeline on simulated films
	$(BIN)/python run.py --pipeline classic $(ARGS)

test: $(VENV)/.requirements-dev.txt ## set up, then run the test suite
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.requirements-dev.txt ## set up, then style, types and who may import whom
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy run.py $(PACKAGES)
	$(BIN)/lint-imports

format: $(VENV)/.requirements-dev.txt ## rewrite the sources in the project's style
	$(BIN)/python -m ruff check --fix-only
	$(BIN)/python -m ruff format

# Pins stay where the requirements allow them; make lock ARGS=--upgrade takes the newest.
lock: $(BIN)/uv ## remake constraints.txt for Python 3.11 and newer
	{ echo pip; grep -hv '^-' requirements.txt requirements-dev.txt; } | $(BIN)/uv pip compile - \
		--quiet --universal --python-version 3.11 --no-annotate \
		--custom-compile-command 'make lock' --output-file constraints.txt $(ARGS)

$(BIN)/uv:
	$(MAKE) $(VENV)/.requirements.txt

clean: ## remove the virtual environment and the tools' caches (not .state)
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find $(PACKAGES) tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# One stamp for each requirements file. An install that was cut short leaves UNFINISHED behind, with
# the number of its process, and the next one starts from nothing: pip takes a half-written package
# for an installed one. The pinned pip resolves three times as fast as the one that comes with
# Python 3.11, and compiling on all cores, the libraries' own tests left out, takes half as long as
# pip does for it.
$(VENV)/.%: % requirements.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed, as in: make $(MAKECMDGOALS) PYTHON=python3.12' >&2; exit 1; }
	@other=$$(cat $(UNFINISHED) 2>/dev/null); if kill -0 "$$other" 2>/dev/null; then \
		echo "Process $$other is installing into $(VENV): wait, or rm $(UNFINISHED)" >&2; exit 1; fi
	@if [ -e $(UNFINISHED) ]; then rm -rf $(VENV)/* $(VENV)/.requirements*; fi
	@mkdir -p $(VENV) && echo $$PPID > $(UNFINISHED)
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(PIP) --quiet --constraint constraints.txt pip
	$(PIP) --no-compile --requirement $<
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib || true
	@touch $@ && rm $(UNFINISHED)
