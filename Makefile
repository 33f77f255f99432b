# Two commands: make demo, make test. Both set up what they need and can be run again cheaply. The rest is for those who
# change the code (CONTRIBUTING.md).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
BUDGET := 900

.PHONY: demo test slow docs setup cpu lowest wheel clean

demo: $(VENV)/.installed
	$(BIN)/wilss demo

# a test a core, each command on one thread: more threads than cores make torch many times slower
test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist loadfile

# within a budget of seconds: on a slow machine the rest is left for another commit, by name (tests/budget.py)
slow: $(VENV)/.installed-test
	$(BIN)/python -m tests.e2e.browser
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "slow and not whole" --budget $(BUDGET) -rs -o faulthandler_timeout=1400 --numprocesses logical --maxprocesses 2 --dist worksteal

# build/site: pages that need neither a server nor a network
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "open build/site/index.html"

# all that the tests need, and no test
setup: $(VENV)/.installed-test

# torch without CUDA, for machines that have none: on Linux it is several GB smaller; before the others
cpu: | $(BIN)/python
	$(BIN)/python -m pip install --quiet 'uv>=0.8'
	$(BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend cpu --requirement pyproject.toml

# the quick tests with the oldest releases that pyproject.toml allows, or some of them: make lowest TESTS=tests/wilss
lowest: $(LOWEST)/.installed
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile $(TESTS)

# wheel and sdist in dist/, checked, and installed into an empty environment
wheel: $(VENV)/.installed-test
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/pytest -m "not whole" tests/test_wheel.py tests/test_install.py

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

$(LOWEST)/.installed: pyproject.toml
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet 'uv>=0.8'
	$(LOWEST)/bin/uv pip compile --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --extra test pyproject.toml --output-file $(LOWEST)/lowest.txt
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --requirement $(LOWEST)/lowest.txt
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --no-deps --editable .
	touch $@

clean:
	rm -rf $(VENV) $(LOWEST) build dist wilss-data
