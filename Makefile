# make run      set up .venv and build the default study: results/default/figures, results/default/tables
# make test     set up and run the tests, but for the thorough ones (below)
# make test-thorough  those left out: every kind of change planned and audited, coverage of intervals by simulation
#                     make test TESTS="not slurm" runs both: about 15 minutes on two cores
# make fuzz           inputs drawn at random, FUZZ=40 times as many: configs, pictures, zips, files, names, kills
# make test-slurm     the faults of clusters, on a real Slurm: as root, with Debian's packages; skipped elsewhere
# make report   results/report.html: the figures and tables with captions and run times
# make docs     renew docs/configuration.md and the JSON schema after an edit of workflow_scripts/config
# make lock     renew the pinned requirements after an edit of envs/*.in
# make clean    remove .venv; results stay
# make clean-results STUDY=NAME  delete the results of one study, after asking

PYTHON ?= python3
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test test-thorough fuzz test-slurm report lint docs lock clean clean-results

run: $(VENV)/installed
	$(BIN)/snakemake --cores $(CORES)

report: run
	$(BIN)/snakemake --report results/report.html

PYTEST := $(BIN)/python -m pytest -n 2 --no-loadscope-reorder

TESTS ?= not thorough and not slurm

test: $(VENV)/installed-dev lint
	$(PYTEST) -m "$(TESTS)"

test-thorough: $(VENV)/installed-dev
	$(PYTEST) -m thorough

FUZZ ?= 40

fuzz: $(VENV)/installed-dev
	FUZZ=$(FUZZ) $(PYTEST) -m "hypothesis or killed"

test-slurm: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m slurm tests/slurm

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check --compact-diff Snakefile rules
	$(BIN)/snakemake --lint

$(VENV)/installed: envs/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit("error: Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	@echo "setting up $(VENV): about 3 GB to download, a few minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/installed-dev: envs/requirements-dev.txt $(VENV)/installed
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r $<
	@touch $@

docs: $(VENV)/installed
	$(BIN)/python -m workflow_scripts.config.reference

lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	cd envs && for name in requirements requirements-dev; do \
	  ../.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header --output-file $$name.txt $$name.in || exit 1; done
	rm -rf .venv-lock

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache

clean-results:
	@test -n "$(STUDY)" -a "$(notdir $(STUDY))" = "$(STUDY)" -a -d "results/$(STUDY)" || \
	  { echo "error: STUDY=$(STUDY): no such study: make clean-results STUDY=NAME, one of: $$(ls results 2>/dev/null | xargs)" >&2; exit 1; }
	@printf 'delete results/%s (%s) for good? [y/N] ' "$(STUDY)" "$$(du -sh "results/$(STUDY)" | cut -f1)"; read answer; \
	  if [ "$$answer" = y ]; then rm -rf -- "results/$(STUDY)"; echo deleted; else echo kept; fi
