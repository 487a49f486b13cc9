# The entry point for users (`make demo`) and contributors (`make check`). See CONTRIBUTING.md.

PYTHON ?= python3
VENV ?= .venv
DEMO_VENV ?= .venv-demo
WORKERS ?= 2
ARGS ?=

BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench soak lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## the contributor's environment, in .venv
	@PYTHON='$(PYTHON)' sh scripts/venv '$(VENV)' requirements/dev.txt

demo: ## a recorded conversation through the gateway and the agent (no key needed)
	@PYTHON='$(PYTHON)' sh scripts/venv '$(DEMO_VENV)' requirements/gateway.txt requirements/build.txt
	@'$(DEMO_VENV)/bin/arno' demo $(ARGS)

test: setup ## the whole test suite
	@'$(BIN)/python' -m pytest -q -n $(WORKERS) $(ARGS)

check: setup ## format, lint, types, layers, sizes, words, packages, changelog, docs; then the tests
	@'$(BIN)/python' -m checks
	@'$(BIN)/python' -m pytest -q -n $(WORKERS)

bench: setup ## the benchmarks, beside other gateways (ARGS="--no-peers --quick")
	@'$(BIN)/python' -m benchmarks $(ARGS)

soak: setup ## a mix of cuts, cancels and slow clients for SECONDS (default 600)
	@'$(BIN)/python' -m benchmarks.soak $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

# Which versions a release is built and tested with: written by `uv pip compile`, read by plain pip.
UV ?= uv
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-config $(ARGS)

lock: ## write requirements/*.txt anew (needs uv; ARGS=--upgrade for newer versions)
	@$(COMPILE) pyproject.toml --extra gateway --extra prices --extra google --extra aws \
		requirements/dev.in --output-file requirements/dev.txt
	@$(COMPILE) pyproject.toml --extra gateway -c requirements/dev.txt \
		--output-file requirements/gateway.txt
	@$(COMPILE) pyproject.toml -c requirements/dev.txt --output-file requirements/base.txt
	@$(COMPILE) pyproject.toml --extra prices -c requirements/dev.txt \
		--output-file requirements/prices.txt
	@$(COMPILE) pyproject.toml --extra google --extra aws -c requirements/dev.txt \
		--output-file requirements/clouds.txt
	@$(COMPILE) requirements/build.in -c requirements/dev.txt --output-file requirements/build.txt

clean: ## remove environments, caches and build results
	@rm -rf '$(VENV)' '$(DEMO_VENV)' build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@rm -rf .import_linter_cache .grimp_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
