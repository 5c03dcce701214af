# Needs Python 3.11.4 or newer and make; everything else is installed into .venv.
#
#   make test                                      run the tests
#   make test-fast                                 run the quick ones: something of every room, in two minutes
#   make check                                     ruff and mypy
#   make build-stcodecfake                         build the embedded edition, from what this checkout carries
#   make build-stcodecfake VCTK=... AISHELL3=...   build ST-Codecfake from the corpora

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
RUN := $(VENV)/bin/python -m codecfake_builder
STAMP := $(VENV)/.installed

# the dataset's folder; by default build/st-codecfake-mini, with corpora build/st-codecfake
OUT ?=
VCTK ?=
AISHELL3 ?=
NCSSD ?=
# paths reach the shell through the environment, so that they may hold spaces
export OUT VCTK AISHELL3 NCSSD
# further options of the build command, e.g. ARGS='--limit 100 --set execution.device=cuda:1'
ARGS ?=

.PHONY: install test test-fast test-fast-adapters test-fast-builder check format build-stcodecfake clean

install: $(STAMP)

# Torch comes first. Where there is no NVIDIA driver, its CPU build is tried, since the default build brings gigabytes
# of CUDA libraries; where that cannot be had, the registry's own build for the platform is taken.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4) and "error: Python 3.11.4 or newer is needed (make PYTHON=python3.x)")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt uv
	command -v nvidia-smi >/dev/null || UV_HTTP_RETRIES=1 VIRTUAL_ENV=$(VENV) $(VENV)/bin/uv pip install --quiet \
		--no-deps --torch-backend=cpu --constraint constraints.txt torch 2>/dev/null || true
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev,cluster]'
	touch $(STAMP)

test: $(STAMP)
	$(VENV)/bin/python -m pytest

# two processes beside each other, since pytest runs in one
test-fast: $(STAMP)
	$(MAKE) --no-print-directory -j2 --output-sync=target test-fast-adapters test-fast-builder

QUICK := $(VENV)/bin/python -m pytest -q -m "not slow"

test-fast-adapters: $(STAMP)
	$(QUICK) tests/codec_adapters tests/codecfake_builder/conformance

test-fast-builder: $(STAMP)
	$(QUICK) tests --ignore tests/codec_adapters --ignore tests/codecfake_builder/conformance

check: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(STAMP)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

COMPLETE := make build-stcodecfake VCTK=/data/VCTK-Corpus-0.92 AISHELL3=/data/AISHELL-3

build-stcodecfake: $(STAMP)
ifeq ($(VCTK)$(AISHELL3)$(NCSSD),)
	$(RUN) build mini --out "$${OUT:-build/st-codecfake-mini}" $(ARGS)
	@echo
	@echo 'This is the embedded edition: synthesized speech, small codecs. The complete dataset, from the corpora:'
	@echo '  $(COMPLETE)'
else
	@test -n "$$VCTK" -a -n "$$AISHELL3" || { echo 'error: give both corpora: $(COMPLETE)' >&2; exit 2; }
	$(RUN) build stcodecfake --out "$${OUT:-build/st-codecfake}" --set corpora.vctk.root="$$VCTK" \
		--set corpora.aishell3.root="$$AISHELL3" $${NCSSD:+--set} $${NCSSD:+corpora.ncssd.root="$$NCSSD"} $(ARGS)
endif

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
