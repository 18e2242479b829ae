# make        runs the main job      make test    runs the tests
# make check  linters and types      make quick   the tests without the slow ones
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test quick check format lock clean

run: $(READY)
	@$(BIN)/aarlab run chat $(ARGS)

test: $(READY)
	@$(BIN)/python -m pytest $(ARGS)

quick: $(READY)
	@$(BIN)/python -m pytest -m "not slow" $(ARGS)

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

$(READY): pyproject.toml requirements.lock scripts/setup.py
	@$(PYTHON) scripts/setup.py $(VENV)

# Resolve pyproject.toml anew into requirements.lock.
lock: $(READY)
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--group dev pyproject.toml --output-file requirements.lock

clean:
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
