# The two commands: `make sweep` and `make test`. Both make the environment in .venv first, if it is not there yet.
# Paths are relative throughout, so the folder's own name may hold spaces.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
SPACE ?= search_spaces/barrier.yaml
# More for the sweep's command line, e.g. ARGS="--resume" or ARGS="--set trials=8".
ARGS ?=
CELLS ?=

PIP = $(PYTHON) -m pip --python .venv/bin/python --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: help sweep test soak clean

help:
	@echo "make sweep   run $(SPACE) (another: make sweep SPACE=search_spaces/quick.yaml)"
	@echo "make test    run the tests"
	@echo "make soak    the slow tests, then kill and pause the parts of sweeps, an hour or two (CELLS='healing/*': some of it)"
	@echo "make clean   remove the environment; results in tune_runs stay"

sweep: .venv/installed
	.venv/bin/python -m steerheal.tune $(SPACE) $(ARGS)

test: .venv/installed
	.venv/bin/python -m pytest

soak: .venv/installed
	.venv/bin/python -m pytest -m slow
	.venv/bin/python -m tests.soak $(CELLS)

# The stamp is written last: an interrupted installation is taken up again, a finished one is not repeated.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 1; }
	@echo "making the environment in .venv (some minutes, once)"
	@test -x .venv/bin/python || $(PYTHON) -m venv --without-pip .venv
	@$(PIP) pip -e '.[test]'
	@touch .venv/installed

clean:
	rm -rf .venv
