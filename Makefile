# What a person does with a checkout: make demo, make test, make check. See dependencies.md 4 for the rules.
#   PYTHON=/path/to/python3   the interpreter to use (3.11 or newer)
#   WHEELHOUSE=dir            install from this folder, without network (made by: make wheelhouse)
#   NO_UV=1                   use venv and pip even where uv is installed
.POSIX:
SHELL = /bin/sh
BIN = .venv/bin
PREPARE = PYTHON="$(PYTHON)" WHEELHOUSE="$(WHEELHOUSE)" NO_UV="$(NO_UV)" sh requirements/prepare.sh
DEMO = --dir edoc-demo
JOBS = 2
CASES = 1000000
KILLS = 10000

all: demo

demo:
	@$(PREPARE) runtime
	@$(BIN)/edoc demo $(DEMO)

test:
	@$(PREPARE) dev
	@sh requirements/system.sh
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile $(TESTS)

fuzz:
	@$(PREPARE) dev
	@sh requirements/system.sh
	@$(BIN)/python -m tests.fuzz.campaign --cases $(CASES)

chaos:
	@$(PREPARE) dev
	@sh requirements/system.sh
	@$(BIN)/python -m tests.lab.chaos --kills $(KILLS) --workers $$((3 * $(JOBS))) --folder build/chaos

check:
	@$(PREPARE) dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/python docs/make.py --check

docs:
	@$(PREPARE) dev
	$(BIN)/python docs/make.py

bench:
	@$(PREPARE) dev
	@$(BIN)/python bench/run.py

pictures:
	@$(PREPARE) dev
	@$(BIN)/python samples/pictures.py

lock:
	sh requirements/lock.sh

wheelhouse:
	PYTHON="$(PYTHON)" sh requirements/wheelhouse.sh "$(WHEELHOUSE)"

clean:
	@if [ -f .venv/.edoc-made ]; then rm -rf .venv; fi
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
	find signer edoc transport tests samples bench docs -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf __pycache__

.PHONY: all demo test fuzz chaos check docs bench pictures lock wheelhouse clean
