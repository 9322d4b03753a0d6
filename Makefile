# `make` lists the targets. Each sets up .venv by itself when it is missing or out of date.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
SOURCES := kg api tests ontology

.DEFAULT_GOAL := help
.PHONY: help demo test serve bench lint fuzz mutants ontology constraints build clean python

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "make %-12s %s\n", $$1, $$2 }'

demo: $(READY) ## judge two claims and print why; then one under every policy
	@$(BIN)/coverpath determine examples/c01.json examples/c02.json
	@$(BIN)/coverpath compare examples/c01.json

test: lint ## all checks: lint, then the tests
	@$(BIN)/python -m pytest -q -n auto

serve: $(READY) ## start the web service, with the two case claims determined
	@$(BIN)/coverpath serve --examples

bench: $(READY) ## measure what is fast, and print the figures
	@$(BIN)/python -m benchmarks

lint: $(READY) ## style and types, of Python and of Turtle
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/turtlefmt --check ontology shapes

fuzz: $(READY) ## long property runs
	@$(BIN)/python -m pytest -q -m fuzz -n auto

mutants: $(READY) ## change the decision core in each small way, and list what no test notices: an hour or two
	@$(BIN)/pip install -qq -c constraints.txt -e '.[mutants]'
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -x -C "$$folder" && \
	PATH="$(CURDIR)/$(BIN):$$PATH" && cd "$$folder" && \
	cosmic-ray init tests/mutants.toml mutants.sqlite && \
	cr-filter-operators mutants.sqlite tests/mutants.toml && \
	cosmic-ray exec tests/mutants.toml mutants.sqlite && \
	cr-report --surviving-only --show-diff mutants.sqlite

ontology: $(READY) ## regenerate the ICD-10-CM files in ontology/codes
	@$(BIN)/python ontology/codes/build.py

constraints: python ## write constraints.txt anew, with the newest versions that pyproject.toml allows
	@echo "resolving dependencies into constraints.txt"
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(PYTHON) -m venv "$$folder" && "$$folder/bin/pip" install -qq -e '.[dev]' && \
	{ echo "# Versions that the tests ran with, for CPython 3.11. Written by: make constraints"; \
	  "$$folder/bin/pip" freeze --exclude-editable | LC_ALL=C sort -f; } > "$$folder/constraints.txt" && \
	cp "$$folder/constraints.txt" constraints.txt

build: $(READY) ## build the sdist and the wheel into dist/
	@$(BIN)/python -m build -qq --outdir dist .
	@ls dist

clean: ## remove .venv and all that is generated and not committed
	@rm -rf .venv dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov
	@find $(wildcard $(SOURCES)) -name __pycache__ -type d -prune -exec rm -rf {} +

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || \
	{ echo "$(PYTHON) is missing or older than Python 3.11"; echo "help: make PYTHON=python3.11"; exit 1; } >&2

$(READY): pyproject.toml constraints.txt | python
	@echo "installing Coverpath and its tools into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install -qq -c constraints.txt -e '.[dev]'
	@touch $@
