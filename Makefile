# Each target sets up what it needs; run again, it does no work twice and needs no network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

WEB := rag_service/web
WEB_SOURCES := $(shell find $(WEB) -path '*/node_modules' -prune -o -path '*/dist' -prune -o -type f -print 2>/dev/null)

HAS_NODE := node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null
NO_NODE := echo "No Node 20 or newer here: the pages are left out; the API and the commands work. Later: make web"

.PHONY: help run test check fix bench eval web web-if-node web-check sample-kb clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(VENV)/.run web-if-node ## install, start everything, answer a first question
	@exec $(BIN)/rag serve

test: $(VENV)/.dev web-if-node ## run all tests
	@$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

check: $(VENV)/.dev ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	@if $(HAS_NODE); then $(MAKE) --no-print-directory web-check; else $(NO_NODE); fi

fix: $(VENV)/.dev ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## measure: a table, and bench.json
	@$(BIN)/python -m evals.bench $(ARGS)

eval: $(VENV)/.dev ## measure answer quality on a fresh server; fails on a regression; report in build/eval
	@$(BIN)/rag-eval check evals/suites/sample.yaml --baseline evals/baselines/sample.jsonl $(ARGS)

web: $(WEB)/dist/widget.js ## build the pages; needs Node 20 or newer

web-if-node:
	@if $(HAS_NODE); then $(MAKE) --no-print-directory web; else $(NO_NODE); fi

web-check: $(WEB)/node_modules/.installed
	cd $(WEB) && npm run --silent check && npm test --silent

$(WEB)/node_modules/.installed: $(WEB)/package-lock.json
	cd $(WEB) && npm ci --no-audit --no-fund --silent
	@touch $@

$(WEB)/dist/widget.js: $(WEB)/node_modules/.installed $(WEB_SOURCES)
	cd $(WEB) && npm run --silent build
	@touch $@

sample-kb: $(VENV)/.dev ## build the binary sample documents from data/sources
	$(BIN)/python data/build_sample_kb.py

clean: ## remove the virtual environment and caches; data/state stays
	rm -rf $(VENV) $(WEB)/node_modules $(WEB)/dist .mypy_cache .ruff_cache .pytest_cache build dist

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name one: make run PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@
