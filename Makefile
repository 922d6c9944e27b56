# `make demo` and `make test` do all the set-up themselves; a second run starts at once.
.DEFAULT_GOAL := help
.PHONY: help demo test gestures lint docs pictures setup clean

PYTHON_IN_VENV := .venv/bin/python
STAMP := .venv/.installed
export PYTHON

help:
	@echo 'make demo   set up, then watch a recorded session being played in napari (writes demo-output/)'
	@echo 'make test   set up, then run ruff, mypy and the tests'
	@echo 'make gestures  set up, then work in napari at random for two minutes, and be killed twenty times'
	@echo 'make lint   set up, then run ruff and mypy only'
	@echo 'make docs   set up, then build the guide into docs/_build/html'
	@echo 'make pictures  set up, then take the pictures of the guide from the running program'
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
	PYTHON_IN_VENV=$(PYTHON_IN_VENV) scripts/run_tests.sh $(PYTEST_ARGS)

docs: $(STAMP)
	$(PYTHON_IN_VENV) -c 'import sphinx_gallery, myst_parser, furo, numpydoc, sphinx_copybutton' 2>/dev/null || \
		$(PYTHON_IN_VENV) -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	$(PYTHON_IN_VENV) -m sphinx -W --keep-going -b html docs docs/_build/html

pictures: $(STAMP)
	scripts/with_display.sh virtual $(PYTHON_IN_VENV) docs/take_pictures.py

# SEEDS=5,6,7 does other things.
gestures: $(STAMP)
	NAPARI_PVPU_LONG=120 NAPARI_PVPU_SEEDS=$(or $(SEEDS),1) NAPARI_ENSURE_PLUGIN_MAIN_THREAD=1 \
		scripts/with_display.sh virtual $(PYTHON_IN_VENV) -m pytest $(PYTEST_ARGS) \
		tests/features/test_lost_workers.py tests/gui/test_leaks.py tests/gui/test_killed.py tests/gui/test_gestures.py

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis demo-output docs/_build docs/examples
