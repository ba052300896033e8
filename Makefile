# Needs Python >= 3.11, make and a shell. Everything else comes from the package index, pinned and hashed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/python -m uv
UV_PIN := 0.13.9

# Some containers set it; without cached bytecode every command compiles dbt, pandas and scikit-learn anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo report ui test quick lint types sql parity soak bench clean lock

help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Kizuna needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_PIN)

$(VENV)/.run: requirements.txt $(BIN)/python
	@echo "setting up $(VENV) ..."
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.test: requirements-test.txt $(VENV)/.run
	@echo "adding what the tests need ..."
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-test.txt
	@touch $@

demo: $(VENV)/.run ## run the whole loop on the sandbox shop and print what happened
	$(BIN)/python -m orchestration.demo

report: $(VENV)/.run ## one page about the shop for marketers, from the lake's marts
	$(BIN)/python -m orchestration.report

ui: $(VENV)/.run ## Dagster's UI on the same definitions, sandbox running
	$(BIN)/python -m orchestration.ui

# The longest files first: one of them alone at the end leaves a core idle for minutes.
test: $(VENV)/.test lint ## lint, then every test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/end_to_end tests/integration tests/contract tests/unit

quick: $(VENV)/.test ## unit and contract tests on the small world
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not spark" tests/unit tests/contract

lint: $(VENV)/.test ## format, lint, types, SQL style, dbt deprecations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@$(MAKE) --no-print-directory -j 2 types sql

types: # half of lint, beside the other half
	$(BIN)/mypy

sql:
	$(BIN)/sqlfluff lint dbt_project/models --disable-progress-bar --processes 2
	cd dbt_project && ../$(BIN)/dbt --quiet parse --no-partial-parse --warn-error-options '{"error": ["Deprecations"]}'

parity: $(VENV)/.test ## build the same models on Spark and compare every mart with DuckDB
	$(BIN)/python -m tests.parity $(PARITY)

soak: $(VENV)/.test ## a dozen seeded kills, each followed by one clean run (bench/soak.py does 200)
	$(BIN)/python bench/soak.py --kills 12

bench: $(VENV)/.test ## landing beside dlt
	$(BIN)/python bench/ingest.py

clean: ## remove everything the commands above made
	rm -rf $(VENV) lake .sandbox .dagster .pytest_cache .ruff_cache .mypy_cache .hypothesis dbt_project/target dbt_project/logs logs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: $(BIN)/python ## renew the lock files from pyproject.toml
	$(UV) pip compile --quiet pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header -o requirements-test.txt
	$(UV) pip compile --quiet pyproject.toml -c requirements-test.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header -o requirements.txt
