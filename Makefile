# Everything runs in a virtual environment beside this file; the two commands to know are `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py $(wildcard llmzip/*/*.c llmzip/*/*.h)

.PHONY: help demo test lint bench tables docs drift portability fuzz torture sanitize soak lock audit gpu clean
.DEFAULT_GOAL := help

help: ## Show this message
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

$(VENV)/.installed: $(SOURCES)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python tools/install.py
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@$(BIN)/python tools/install.py test,lint
	@touch $@

demo: $(VENV)/.installed ## Set up, compress and restore a text, print the comparison
	@$(BIN)/python benchmarks/demo.py

test: lint ## Set up, check the code's style and types, run the tests
	@$(BIN)/python -m pytest

lint: $(VENV)/.installed-test ## Check style and types (ruff, mypy --strict, clang-format)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "not formatted: run $(BIN)/ruff format"; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/clang-format --dry-run -Werror $(wildcard llmzip/*/*.c llmzip/*/*.h) || { echo "run $(BIN)/clang-format -i"; exit 1; }

bench: $(VENV)/.installed-test ## Measure speed, memory and ratio (quiet machine, some minutes; BENCH_FILES=... for texts of your own)
	@$(BIN)/python benchmarks/speed.py
	@$(BIN)/python benchmarks/ratio.py $(BENCH_FILES)

tables: $(VENV)/.installed-test ## Make the tables of docs/ from corpora/ (half an hour)
	@$(BIN)/python benchmarks/tables.py

docs: $(VENV)/.installed-test ## Build the site into build/site (links and docstrings are checked)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

drift: $(VENV)/.installed-test ## Measure how far batch shapes and thread counts move the odds of a turn
	@$(BIN)/python benchmarks/drift.py

portability: $(VENV)/.installed-test ## Exchange files with a build of llama.cpp without AVX, then every build of LLMZIP_BUILDS with every other
	@$(BIN)/python tools/portability.py
	@$(BIN)/python tools/portability_matrix.py

fuzz: $(VENV)/.installed-test ## Mutate what readers read (FUZZ_SECONDS=30 for each part and way), property tests at length
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check '.[fuzz]'
	@$(BIN)/python tools/fuzz.py --seconds $(or $(FUZZ_SECONDS),30)
	@$(BIN)/python tools/fuzz.py --seconds $(or $(FUZZ_SECONDS),30) real
	@$(BIN)/python -m pytest --hypothesis-profile expensive tests/test_fuzz.py tests/test_container.py tests/test_container_corrupt.py

gpu: ## Build llama.cpp with CUDA into .venv-gpu, measure a GPU: drift, files both ways, speed (needs one)
	@test -x .venv-gpu/bin/python || $(PYTHON) -m venv .venv-gpu
	@PIP_NO_CACHE_DIR=1 CMAKE_ARGS="-DGGML_CUDA=on $(CMAKE_ARGS)" .venv-gpu/bin/python tools/install.py # pip caches what was built without CUDA
	@.venv-gpu/bin/python benchmarks/gpu.py $(GPU_TEXTS)

torture: $(VENV)/.installed-test ## Kill it 1,000 times, fill its disk, let its reads and writes fail (half an hour; TORTURE="--kills 50 --real 3 --faults 1")
	@$(BIN)/python tools/torture.py $(TORTURE)

sanitize: $(VENV)/.installed-test ## Run the native modules' tests under AddressSanitizer and UndefinedBehaviorSanitizer (SANITIZE=tests/test_mixing.py)
	@$(BIN)/python tools/sanitize.py $(SANITIZE)

soak: $(VENV)/.installed-test ## Compress and decompress for ten minutes in one process, which must not grow (SOAK_SECONDS=600)
	@$(BIN)/python tools/soak.py --seconds $(or $(SOAK_SECONDS),600)

lock: $(VENV)/.installed ## Write down the versions of all packages in the environment (requirements-dev.lock)
	@{ head -1 requirements-dev.lock; $(BIN)/python -m pip freeze --all --exclude-editable --exclude pip | grep -E '^[A-Za-z0-9._-]+==' | LC_ALL=C sort -f; } > .lock && mv .lock requirements-dev.lock

audit: $(VENV)/.installed ## Check that the packages of the environment fit each other, and ask for known holes where pip-audit is installed
	@$(BIN)/python -m pip check
	@if $(BIN)/python -c 'import pip_audit' 2>/dev/null; then $(BIN)/python -m pip_audit --requirement requirements-dev.lock --no-deps --disable-pip; fi

clean: ## Remove the environment and what was built
	rm -rf $(VENV) build *.egg-info
	find llmzip -name '*.so' -delete
