# The entry points of a checkout: make demo, make test, make bench.
PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= demo,dev
LABELLED ?= ../shared/eval/everyday
BIN := $(VENV)/bin

.PHONY: demo test lint types layers pytest slow quality bench environment clean

demo: environment ## Set up, ingest photographs that come inside installed packages, ask three questions.
	$(BIN)/python -m tests.demo .demo

test: environment lint types layers pytest ## Set up and run every check.

environment: $(BIN)/python
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[$(EXTRAS)]'

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "archive needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv # pip takes ten minutes to agree on the cluster's packages

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types:
	$(BIN)/mypy

layers:
	PYTHONPATH=. $(BIN)/lint-imports

# The tests open no connection but on loopback.
pytest:
	tests/without_network.sh $(BIN)/pytest

slow: environment ## The tests that take minutes or hours.
	$(BIN)/pytest -m slow

quality: environment ## What each part of the search is worth, and whether chances mean what they say; takes an hour.
	$(BIN)/python -m benchmarks.quality $(LABELLED)
	$(BIN)/python -m benchmarks.calibration $(LABELLED)
	$(BIN)/python -m benchmarks.calibration $(LABELLED) --pair pocket-close

bench: environment ## Speed and size against the goals, in minutes; `make bench PROFILE=--full` takes an hour.
	$(BIN)/python -m benchmarks.bench $(PROFILE) --out bench.json

clean:
	rm -rf .venv .demo build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
