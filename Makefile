# `make demo` and `make test` do all the set-up themselves; a second run starts at once.
.DEFAULT_GOAL := help
.PHONY: help demo test lint setup clean

PYTHON_IN_VENV := .venv/bin/python
STAMP := .venv/.installed
export PYTHON

help:
	@echo 'make demo   set up, then watch a recorded session being played in napari (writes demo-output/)'
	@echo 'make test   set up, then run ruff, mypy and the tests'
	@echo 'make lint   set up, then run ruff and mypy only'
	@echo 'make clean  remove what the other targets wrote, .venv included'

setup: $(STAMP)

$(STAMP): pyproject.toml scripts/setup.sh
	@scripts/setup.sh
	@touch $@

demo: $(STAMP)
	@scripts/with_display.sh real $(PYTHON_IN_VENV) -m napari_pvpu.demo --output demo-output

lint: $(STAMP)
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m mypy

test: lint
	NAPARI_ENSURE_PLUGIN_MAIN_THREAD=1 scripts/with_display.sh virtual $(PYTHON_IN_VENV) -m pytest $(PYTEST_ARGS)

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis demo-output
