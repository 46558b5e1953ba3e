# What a newcomer types. Every target installs what it needs into .venv; nothing outside this folder is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run test check lint types imports bench soak chaos mutations differential fuzz clean

help:
	@echo "make run    serve on http://127.0.0.1:4000 (PORT, HOST and the other settings come from the environment)"
	@echo "make test   the test suite      make check   lint, types, import rules, tests"
	@echo "make bench  the benchmarks"
	@echo "make soak   a mix of everything, each answer checked, nothing leaks (MINUTES=5); RUNS=20000: only ordinary runs"
	@echo "make chaos  200 requests a second while workers and zygotes are killed and deploys run all the while (MINUTES=5)"
	@echo "make mutations   every guard of the language taken out in turn: which escapes then get through"
	@echo "make differential  20,000 generated programs, each outside and in a worker (PROGRAMS=…, SEED=…)"
	@echo "make fuzz   what the OpenAPI document allows, and what it does not, sent to a service (MINUTES=5, SEED=…)"
	@echo "make clean  remove .venv and caches"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Skep needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "This Python cannot make virtual environments. On Debian or Ubuntu: sudo apt-get install python3-venv"; exit 1; }

$(VENV)/.run: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.run

run: $(VENV)/.run
	@exec $(BIN)/skep

# Two at a time, each with services of its own, since most tests wait for one.
test: $(VENV)/.dev
	$(BIN)/pytest -n 2 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports --no-cache

check: lint types imports test

bench: $(VENV)/.dev
	$(BIN)/python -m bench

MINUTES ?= 5
soak: $(VENV)/.dev
	$(BIN)/python -m bench.soak $(if $(RUNS),--runs $(RUNS),--minutes $(MINUTES))

chaos: $(VENV)/.dev
	$(BIN)/python -m bench.chaos --minutes $(MINUTES)

mutations: $(VENV)/.dev
	$(BIN)/python -m tests.escapes.mutations --all

PROGRAMS ?= 20000
SEED ?= 1
differential: $(VENV)/.dev
	$(BIN)/python -m tests.differential --programs $(PROGRAMS) --seed $(SEED)

fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) --seed $(SEED)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist .peers
