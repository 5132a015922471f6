# Everything runs in a virtual environment beside this file; the two commands to know are `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py $(wildcard llmzip/*/*.c llmzip/*/*.h)

.PHONY: help demo test lint bench tables drift portability clean
.DEFAULT_GOAL := help

help: ## Show this message
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

$(VENV)/.installed: $(SOURCES)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing llmzip into $(VENV) (building llama-cpp-python takes about 5 minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip setuptools
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	@touch $@

demo: $(VENV)/.installed ## Set up, compress and restore a text, print the comparison
	@$(BIN)/python benchmarks/demo.py

test: lint ## Set up, check the code's style and types, run the tests
	@$(BIN)/python -m pytest

lint: $(VENV)/.installed ## Check style and types (ruff, mypy --strict, clang-format)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "not formatted: run $(BIN)/ruff format"; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/clang-format --dry-run -Werror $(wildcard llmzip/*/*.c llmzip/*/*.h) || { echo "run $(BIN)/clang-format -i"; exit 1; }

bench: $(VENV)/.installed ## Measure speed, memory and ratio (quiet machine, some minutes; BENCH_FILES=... for texts of your own)
	@$(BIN)/python benchmarks/speed.py
	@$(BIN)/python benchmarks/ratio.py $(BENCH_FILES)

tables: $(VENV)/.installed ## Make the tables of README.md and docs/ from corpora/ (half an hour)
	@$(BIN)/python benchmarks/tables.py

drift: $(VENV)/.installed ## Measure how far batch shapes and thread counts move the odds of a turn
	@$(BIN)/python benchmarks/drift.py

portability: $(VENV)/.installed ## Exchange files with a second build of llama.cpp, made once without AVX
	@$(BIN)/python tools/portability.py

clean: ## Remove the environment and what was built
	rm -rf $(VENV) build *.egg-info
	find llmzip -name '*.so' -delete
