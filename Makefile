# Needs Python 3.11 or newer, make and git; everything else goes into .venv, once.
#
#   make demo    real data: is a modality drowned (runs/demo-diagnosis), and what helps (runs/demo)
#   make test    the whole test suite
#   make fast    the same without its slow files: two minutes, once compiled programs are kept
#   make lint    formatter, linter and type checker
#   make tune    search every method's options, on validation samples and other seeds
#   make radii   choose the radii of the demo from a grid, likewise
#   make docs    the documentation as a site, in site/index.html
#   make screenshots   its pictures of a report, after `make demo`; needs Chromium
#   make notebooks   run the notebooks, and store what they print and draw
#   make experiments        the paper's tables and figures, on the data that are there
#   make experiments-quick  all of them in little, to see that they run
#   make bench   cost of a step of each method, × late fusion; speed of the input pipeline
#   make tpu     FLOPs, memory and collectives of steps on TPUs, compiled and not run; needs no TPU
#   make accelerator   times of a step on the GPU or TPU that is there, within eight minutes
#   make help    this list
#   make setup   only install what the others need
#   make clean   remove .venv, builds and caches (runs/ stays)

# The first interpreter that is new enough; override with `make PYTHON=... target`.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$name; break; }; done)
VENV ?= .venv

python := $(VENV)/bin/python
run_stamp := $(VENV)/.installed-run
dev_stamp := $(VENV)/.installed-dev
docs_stamp := $(VENV)/.installed-docs
definition := pyproject.toml setup.py
comma := ,

.PHONY: help setup demo tune radii test fast lint docs screenshots notebooks bench tpu \
	accelerator clean experiments experiments-quick
.DELETE_ON_ERROR:

setup: $(run_stamp) $(dev_stamp) $(docs_stamp)

help:
	@sed -n 's/^#   make/  make/p' Makefile

# A short diagnosis, then methods, seeds and settings that are the defaults of `masam compare`. What
# was interrupted goes on where it was; what is finished prints its tables again.
demo: $(run_stamp)
	$(python) -m masam_jax diagnose --seeds 8 --steps 200 --output runs/demo-diagnosis \
		$(if $(wildcard runs/demo-diagnosis/config.json),--resume)
	$(python) -m masam_jax compare --output runs/demo \
		$(if $(wildcard runs/demo/config.json),--resume)

# The same number of trials for every method. An interrupted tuning goes on where it was; what it
# found is compared with `masam compare --methods @runs/tune`.
tune: $(run_stamp)
	$(python) -m masam_jax tune --methods all --output runs/tune \
		$(if $(wildcard runs/tune/config.json),--resume)

# The radius with the highest mean validation accuracy wins, the smaller one on a tie.
radii: $(run_stamp)
	$(python) -m masam_jax compare --output runs/radii --seed-offset 100 --report-split validation \
		$(if $(wildcard runs/radii/config.json),--resume) --methods late_fusion fusion_only \
		$(foreach rho,0.01 0.03 0.1 0.3 1,sam:rho=$(rho)) \
		$(foreach rho,0.3 3 6 12 24 48 96 192,masam:rho=$(rho)) \
		$(foreach rho,6 12 24 48,masam:rho=$(rho)$(comma)select=all) \
		$(foreach rho,12 24 48 96,masam:rho=$(rho)$(comma)select=random) \
		$(foreach rho,3 6 12 24 48,masam:rho=$(rho)$(comma)scale_by_alignment=false)

test: $(dev_stamp)
	$(python) -m pytest -n 2

fast: $(dev_stamp)
	$(python) -m pytest -n 2 -m fast

lint: $(dev_stamp)
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy

# A warning is an error, though not with --quiet. What is silenced is an advertisement.
docs: $(docs_stamp)
	NO_MKDOCS_2_WARNING=1 $(python) -m mkdocs build --strict
	@echo "open site/index.html"

screenshots: $(dev_stamp)
	$(python) -m experiments.screenshots

notebooks: $(dev_stamp)
	$(python) -m experiments.notebooks

# What was trained before is not trained again; each alone is `masam experiment NAME`, and
# `python -m experiments.docs_tables` puts what was found into docs/.
experiments: $(run_stamp)
	$(python) -m masam_jax experiment all

experiments-quick: $(run_stamp)
	$(python) -m masam_jax experiment all --quick
	$(python) -m masam_jax experiment study --quick

# The input pipeline is measured too, which the extra `data` is for.
bench: $(dev_stamp)
	$(python) -m experiments.benchmark

# What was compiled before is not compiled again.
tpu: $(dev_stamp)
	$(python) -m experiments.benchmark_tpu

# JAX for the accelerator must be there: `.venv/bin/pip install 'jax[cuda13]'`, or 'jax[tpu]'.
accelerator: $(dev_stamp)
	$(python) -m experiments.benchmark_accelerator

clean:
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find masam_jax experiments tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last, so an interrupted creation or installation starts again.
$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

# Both wait on the same environment; pip must not run in it twice at once.
$(run_stamp): $(definition) | $(VENV)/.created
	$(python) -m pip install --quiet --disable-pip-version-check --editable '.[train,analysis,tune,geometry]'
	touch $@

$(dev_stamp): $(definition) | $(run_stamp)
	$(python) -m pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	touch $@

$(docs_stamp): $(definition) | $(VENV)/.created
	$(python) -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@
