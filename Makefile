PYTHON ?= python3
EXTRAS ?= report,experiments,dashboard,cluster
UV_VERSION := 0.13.9
UV := .tools/bin/uv
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv/$(VERSION)
BIN := $(VENV)/bin
export UV_PYTHON_DOWNLOADS := never

.PHONY: run test setup docs experiments pictures lock clean
run: $(VENV)/.ready
	@$(BIN)/watersellers run $(ARGS)

test: $(VENV)/.ready
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.ready
	@$(BIN)/python -m tests.benchmarks

setup: $(VENV)/.ready

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit("watersellers needs Python 3.11 or newer, found " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --target .tools "uv==$(UV_VERSION)" \
	  || { $(PYTHON) -m venv .tools && .tools/bin/python -m pip install --quiet "uv==$(UV_VERSION)"; }

$(VENV)/.ready: pyproject.toml requirements.lock | $(UV)
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	@$(UV) pip install --quiet --python $(BIN)/python --constraint requirements.lock --group dev --editable ".[$(EXTRAS)]"
	@touch $@

docs: $(VENV)/.ready
	@$(UV) pip install --quiet --python $(BIN)/python --constraint requirements.lock "zensical"
	@$(BIN)/python -m experiments.docs_tables && $(BIN)/zensical build

SIZE ?= quick
RESULTS ?= results/experiments-$(SIZE)
experiments: $(VENV)/.ready
	@$(BIN)/python -m experiments.all_experiments --size $(SIZE) --results $(RESULTS) --docs docs $(ARGS)
	@$(BIN)/python -m experiments.docs_first_sweep --docs docs

pictures: $(VENV)/.ready
	@$(BIN)/python -m experiments.docs_pictures --docs docs $(ARGS)

lock: | $(UV)
	$(UV) pip compile --quiet --universal --upgrade --all-extras --group dev --generate-hashes --no-header --no-annotate --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv .tools
