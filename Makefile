# `make help` lists what there is. The first call of any of them sets everything up in .venv; PYTHON=/path/to/python
# chooses the interpreter, ARGS="…" is handed on to the command.
PYTHON ?=
ARGS ?=
SEEDS ?= 0-10000
SEED ?=
N ?= 20
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
ENGINE := $(wildcard tests/integration/worker_engine_requirements.txt)

# An environment whose interpreter is gone counts as not made.
$(shell $(BIN)/python -c '' 2>/dev/null || rm -f $(READY))

.DEFAULT_GOAL := help
.PHONY: help demo test check start simulate kill-test bench bench-peers test-all format lock docker clean

help:  ## List these commands
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) \
		| while IFS="$$(printf '\t')" read -r name text; do printf 'make %-10s %s\n' "$$name" "$$text"; done

demo: $(READY)  ## Mine 200 demo users and compare the output with the truth
	@$(BIN)/headframe demo $(ARGS)

start: $(READY)  ## Stand-ins and local host, until Ctrl-C
	@$(BIN)/headframe start $(ARGS)

test: $(READY)  ## The whole test suite on all cores; it starts what it needs
	@$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY)  ## Style, types, import contracts, docs in step
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/test_docs.py tests/test_docs_examples.py tests/test_docs_chains.py tests/test_conventions.py

format: $(READY)  ## Format the code and mend what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

simulate: $(READY)  ## The handlers under seeded faults: SEEDS=0-10000 for a range, SEED=167 to see one
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

kill-test: $(READY)  ## N=20 kills of members of the local stack while it mines; OUTAGE=30 for outages as well
	@$(BIN)/python -m tests.kills --kills $(N) --seed $(or $(SEED),1) --outage $(or $(OUTAGE),0) $(ARGS)

bench: $(READY)  ## Pages per second, and CPU milliseconds per page by process
	@$(BIN)/python -m bench $(ARGS)

bench-peers: $(READY)  ## The same work by Headframe and by dlt, the Singer SDK and Airbyte's CDK
	@$(BIN)/python -m bench.peers $(ARGS)

test-all: $(READY)  ## The test suite on Python 3.11, 3.12 and 3.13, as far as found
	@devtools/test_all.sh $(ARGS)

lock: $(READY)  ## Lock the dependencies anew and write requirements.txt
	$(BIN)/uv lock
	$(BIN)/uv export --quiet --frozen --no-dev --no-emit-project --no-annotate --output-file requirements.txt

docker:  ## Microsoft's stand-ins in Docker instead (see compose.yaml)
	@mkdir -p .headframe/docker
	@sed 's/"P14D"/"PT1H"/' devtools/service_bus_queues.json > .headframe/docker/service_bus_queues.json
	docker compose up $(ARGS)

clean:  ## Remove everything that was made: environments, stand-ins, caches
	@if [ -x $(BIN)/headframe ]; then $(BIN)/headframe stop; fi
	rm -rf .venv .venv-3.1? .headframe .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(READY): pyproject.toml uv.lock $(ENGINE) devtools/set_up.sh
	@devtools/set_up.sh $(VENV) $(PYTHON)
