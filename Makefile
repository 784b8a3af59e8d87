# Everything works on a bare clone, without root: each target sets up what it needs.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test fuzz quick mutate check recipes docs bench clean distclean help
.DEFAULT_GOAL := help

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gansemble needs Python 3.11 or newer, got " + sys.version.split()[0] + "; set PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing gansemble into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[mini,test,dev]'
	@touch $@

install: $(STAMP)  ## virtual environment and installation

demo: $(STAMP)  ## the SpecDiff recipe on a small corpus made offline, in about a minute
	./egs/ljspeech/specdiff/run.sh --mini

test: $(STAMP)  ## the tests, a process for each processor
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "not fuzz"

# Each test prints its seed; SEED=… repeats it.
fuzz: $(STAMP)  ## thousands of changed files, recipes, tables, records and checkpoints, and runs that end anyhow: an hour
	$(if $(SEED),GANSEMBLE_SEED=$(SEED)) GANSEMBLE_ENDS=$(or $(ENDS),50) $(BIN)/python -m pytest -n auto --dist loadfile -s -m "fuzz or kill" tests/hostile

# Without tests that kill runs, start several processes or run whole stages, and without the slow ones.
quick: $(STAMP)  ## the quick tests, in about a minute on two processors
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not (kill or processes or end_to_end or slow or gpu)"

# SEED=… repeats a sample, ROOMS="training data" narrows it, JOBS=2 takes two at a time.
COUNT ?= 10
JOBS ?= 1
mutate: $(STAMP)  ## a few small mistakes, each made in a copy of the code: do the tests notice?
	$(BIN)/python tools/mutate.py --count $(COUNT) --jobs $(JOBS) $(if $(SEED),--seed $(SEED)) $(if $(ROOMS),--rooms $(ROOMS))

check: $(STAMP)  ## ruff, mypy, recipes, the documentation's links, and shellcheck where it is installed
	$(BIN)/ruff check toolkit plugins tests tools benchmarks docs examples
	$(BIN)/ruff format --check toolkit plugins tests tools benchmarks docs examples
	$(BIN)/mypy
	$(BIN)/mypy docs/hooks.py docs/docstrings.py docs/notebook_pages.py docs/readmes.py
	$(BIN)/python tools/check_recipes.py
	@if command -v shellcheck >/dev/null; then shellcheck -x egs/*/*/run.sh egs/_shared/recipe.sh .ci/run; else echo "shellcheck is not installed: skipped"; fi
	@$(MAKE) --no-print-directory docs

recipes: $(STAMP)  ## every recipe with --mini, all stages
	$(BIN)/python tools/run_recipes.py

# Not --quiet, which would leave warnings uncounted.
docs: $(STAMP)  ## the documentation, in site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(STAMP)  ## the benchmarks, with their ratios
	$(BIN)/python -m benchmarks

clean:  ## remove caches and the built documentation; nothing that was trained, prepared or downloaded
	rm -rf site build dist .pytest_cache .mypy_cache .ruff_cache
	@find toolkit plugins tests tools benchmarks docs examples -name __pycache__ -type d -prune -exec rm -rf {} +

distclean:  ## list trained models, packed audio, corpora and the virtual environment with their sizes, and ask before removing them
	@$(PYTHON) tools/distclean.py $(VENV)
