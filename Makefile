PYTHON ?= python3
BIN := .venv/bin
DEMO_HOME ?= .demo

.PHONY: demo test test-apart check gpu-check schema format clean

# The stamp is newer than both files as long as the environment is up to date.
.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "advisor needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: .venv/.installed  ## recommend, train what is recommended on the embedded digits, forecast beside actual
	$(BIN)/advisor --home $(DEMO_HOME) recommend --budget 5M --epochs 120 --family resnet --profile-seconds 20
	$(BIN)/advisor --home $(DEMO_HOME) recommend --dataset digits --budget 60k --epochs 20 --family resnet --profile-seconds 15
	$(BIN)/advisor --home $(DEMO_HOME) probe list
	$(BIN)/advisor --home $(DEMO_HOME) train --dataset digits
	@echo 'See it: $(BIN)/advisor --home $(DEMO_HOME) web'

check: .venv/.installed  ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

PYTEST := $(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

test: check  ## all quick tests but those of test-apart
	$(PYTEST) -m "not slow and not gpu and not browser and not cluster"

# Beside the others they would wait for cores until their patience ends.
test-apart: .venv/.installed  ## the quick tests in Chromium, and on a Ray cluster of this machine
	$(PYTEST) -m "(browser or cluster) and not slow and not gpu"

gpu-check:  ## whatever was never run on a GPU, on the machine that has one, with its own Python and torch
	$(PYTHON) benchmarks/gpu_check.py

schema: .venv/.installed  ## the JSON schemas of all commands, from the classes of their answers
	$(BIN)/python -m cli.workflows.answers.schema docs/schema

format: .venv/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv $(DEMO_HOME)
