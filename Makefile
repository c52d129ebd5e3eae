# Every target sets up what it needs by itself (scripts/set-up): nothing else has to be typed.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check format bench notebook lock clean

BIN := .venv/bin

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## generate a small market day, replay the sample scenario, write its report
	@scripts/set-up core
	@$(BIN)/onetape demo

test: check ## all checks, then all tests
	@$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=8 --dist=loadfile --durations=10

check: ## format, lint, types and import contracts
	@scripts/set-up test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: ## put the code into the one format
	@scripts/set-up test
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: ## measure against the bare engine and write bench-results/
	@scripts/set-up test
	@$(BIN)/python -m bench

notebook: ## open the notebooks in JupyterLab
	@scripts/set-up notebook
	@$(BIN)/jupyter lab --notebook-dir=notebooks

lock: ## write locks/ anew from pyproject.toml (UPGRADE=--upgrade moves the pins)
	@scripts/lock $(UPGRADE)

clean: ## remove what can be made again; data/ stays
	@rm -rf .venv .tools build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache \
		.hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
