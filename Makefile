# make demo: set up on a fresh machine and run the first search. make quick: most tests. make test: every check.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DEMO := demo

.PHONY: setup demo quick test check docs clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13) and "searchlab needs Python 3.11 or 3.12: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

demo: setup
	rm -rf $(DEMO)
	$(BIN)/searchlab run digits --output $(DEMO)
	$(BIN)/searchlab front digits --test --output $(DEMO)
	$(BIN)/searchlab plot digits --output $(DEMO)
	$(BIN)/searchlab export digits --point knee --out $(DEMO)/knee --output $(DEMO)
	$(BIN)/searchlab verify $(DEMO)/knee --output $(DEMO)
	$(BIN)/python -c 'from PIL import Image; from sklearn.datasets import load_digits as digits; Image.fromarray((digits().images[0] * 15.9375).astype("uint8")).save("$(DEMO)/zero.png")'
	$(BIN)/searchlab predict $(DEMO)/knee $(DEMO)/zero.png

# Empty is off: where this is set, pytest rewrites each test file and Python compiles searchlab in every process it starts.
quick test: export PYTHONDONTWRITEBYTECODE =

quick: setup
	$(BIN)/pytest -m "not slow and not cluster" --hypothesis-profile=quick --durations=10

# Tests of clusters wait for Ray most of the time: side by side they take as long as the longest.
test: setup check
	$(BIN)/pytest -m "not cluster" --durations=10
	$(BIN)/pytest -m cluster --numprocesses=3 --dist=load

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: setup
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	$(BIN)/zensical build --clean --strict

clean:
	rm -rf .venv $(DEMO) site
