# make search: the main job. make test: every test that needs no GPU. Both set .venv up first.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
DOCS_INSTALLED := .venv/.docs-installed
ARGS ?=

.DEFAULT_GOAL := search
# Two processes share the tests: tests/conftest.py says how.
SHARED := -n 2 --no-loadscope-reorder
QUICK := -m "not gpu and not ray and not slow" $(SHARED)
.PHONY: search test docs check quick format lint types cov fuzz install ui bench bench-tracking bench-children bench-data bench-detection bench-scale chaos chaos-workers poison test-gpu clean

search: install
	$(BIN)/raynas search $(ARGS)

test: install
	$(BIN)/python -m pytest -m "not gpu" $(SHARED) $(ARGS)

# Format, lint, types, and the tests without Ray that take no longer than a few seconds: under three minutes.
check: lint
	$(MAKE) --no-print-directory -j 2 types quick

quick: install
	$(BIN)/python -m pytest -q $(QUICK) $(ARGS)

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

# The tests of `make test` with coverage; code that runs in Ray's processes isn't counted.
cov: install
	$(BIN)/python -m pytest -q -m "not gpu" $(SHARED) --cov --cov-report=term:skip-covered $(ARGS)

# Mutated files and words for everything that raynas reads, on all cores: three quarters of an hour on two.
INPUTS ?= 1000000
SEED ?= 0
fuzz: install
	$(BIN)/python -m tests.fuzz --inputs $(INPUTS) --seed $(SEED) --workers $$(nproc) $(ARGS)

install: $(INSTALLED)

$(INSTALLED): requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("raynas needs Python 3.11 or later; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $(INSTALLED)

ui: install
	$(BIN)/raynas ui

bench: install
	$(BIN)/python -m benchmarks.overhead $(ARGS)

# What a child costs in MLflow alone: ARGS=--by-requests for a server's way of writing. A minute.
bench-tracking: install
	$(BIN)/python -m benchmarks.tracking $(ARGS)

bench-data: install
	$(BIN)/python -m benchmarks.data $(ARGS)

# Eight pictures learned by heart, a training step, a loader: five minutes. Needs COCO's pictures (--data).
bench-detection: install
	$(BIN)/python -m benchmarks.detection $(ARGS)

# Training children on a CPU against a plain loop: a quarter of an hour on two idle cores.
bench-children: install
	$(BIN)/python -m benchmarks.children $(ARGS)

# A long search and its resume, 450 simulated workers, eight busy ones: half an hour; CHILDREN=2000 for less.
CHILDREN ?= 20000
bench-scale: install
	rm -rf build/bench-scale
	$(BIN)/python -m benchmarks.scale growth --children $(CHILDREN) --out build/bench-scale
	$(BIN)/python -m benchmarks.scale resume --out build/bench-scale
	$(BIN)/python -m benchmarks.scale workers --workers 450
	$(BIN)/python -m benchmarks.scale workers --workers 8 --children 400 --seconds 2 --spread 0

# 40 poisoned children among 200, and 25 kills of workers, groups and nodes: exit code 1 if anything is lost.
poison: install
	$(BIN)/python -m benchmarks.chaos.poison $(ARGS)

chaos-workers: install
	$(BIN)/python -m benchmarks.chaos.workers $(ARGS)

# Searches whose drivers are killed with SIGKILL 25 times each: CHAOS_SEED=... for other places.
CHAOS_SEED ?= 0
chaos: install
	rm -rf build/chaos
	$(BIN)/python -m benchmarks.chaos.drivers --seed $(CHAOS_SEED) --out build/chaos $(ARGS)

# The documentation as a site, build/docs/index.html; a warning is an error. The first call installs Sphinx.
docs: $(DOCS_INSTALLED)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs $(ARGS)

$(DOCS_INSTALLED): $(INSTALLED) docs/requirements.txt
	$(BIN)/python -m pip install --quiet -r docs/requirements.txt
	touch $@

test-gpu: install
	$(BIN)/python -m pytest -m gpu $(ARGS)

clean:
	rm -rf .venv build docs/generated dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
