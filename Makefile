PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint docs notebooks bench clean

demo: $(READY)  ## load, check, train, measure, draw, save and export, in minutes
	$(BIN)/python -m recipes demo

test: $(READY)  ## the whole fast test suite
	$(BIN)/python -m pytest tests/test_battery.py  # apart: XLA never gives memory back
	$(BIN)/python -m pytest --ignore=tests/test_battery.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: $(READY) $(VENV)/.docs  ## the site, in build/site
	$(BIN)/mkdocs build

notebooks: $(READY) $(VENV)/.docs  ## run anew, with their outputs kept
	PYTHONPATH=$(CURDIR) $(BIN)/python docs/run_notebooks.py

$(VENV)/.docs: $(READY) pyproject.toml
	$(BIN)/python -m pip install --quiet --group docs
	touch $@

bench: $(READY) .peers/.ready  ## speed and memory, beside a peer too; 95 minutes
	$(BIN)/python -m benchmarks --json benchmarks/results.json
	$(BIN)/python -m benchmarks.entries
	$(BIN)/python -m benchmarks.codes
	$(BIN)/python -m benchmarks.groups
	$(BIN)/python -m benchmarks.bfloat16
	$(BIN)/python -m benchmarks.cells
	$(BIN)/python -m benchmarks.precision

.peers/.ready: benchmarks/requirements.txt
	$(PYTHON) -m venv .peers
	.peers/bin/python -m pip install --quiet --upgrade pip
	.peers/bin/python -m pip install --quiet -r benchmarks/requirements.txt
	touch $@

$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) or \
	  sys.exit("Python 3.11 to 3.13 is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

clean:  ## removes what make builds; trainings in runs/ stay
	rm -rf $(VENV) .peers build
