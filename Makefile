# Two commands: make demo, make test. Both set up what they need and can be run again cheaply.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check slow docs clean

demo: $(VENV)/.installed
	$(BIN)/wilss demo

# a test a core, each command on one thread: more threads than cores make torch many times slower
test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist loadfile

# within a budget of 15 minutes: on a slow machine the rest is left for another commit, by name (tests/budget.py)
slow: $(VENV)/.installed-test
	$(BIN)/python -m tests.e2e.browser
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "slow and not whole" --budget 900 -rs -o faulthandler_timeout=1400 --numprocesses logical --maxprocesses 2 --dist worksteal

# build/site: pages that need neither a server nor a network
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "open build/site/index.html"

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "wilss needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build wilss-data
