# `make` checks everything, `make demo` scores example traces, `make test` runs the tests.
# Each target first puts what it needs into .venv; all that must be there is Python 3.11 or later.
# Another interpreter: make PYTHON=python3.13 test

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := check

PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)
BIN := .venv/bin
DEVELOPMENT := cpu,train,sft,client,report,remote,serve,datatrove,docs,test
DEMO := demo-output
DATA ?= ../shared/data

# Tests load no model from a hub and send no usage reports.
export HF_HUB_OFFLINE := 1
export BENTOML_DO_NOT_TRACK := True
export ORT_DISABLE_TELEMETRY := 1

.PHONY: check lint types coverage test docs demo model bench bento bento-gpu study-small constraints clean

check: lint types coverage

lint: .venv/development.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/development.stamp
	$(BIN)/mypy

coverage: .venv/development.stamp
	$(BIN)/pytest --cov --cov-report=term-missing:skip-covered --cov-fail-under=95

test: .venv/development.stamp
	$(BIN)/pytest

# The documentation as a site, from docs/, the docstrings and the commands' help; a warning is an error.
docs: .venv/development.stamp
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs site
	@echo "Open site/index.html"

demo: .venv/demo.stamp
	mkdir -p $(DEMO)
	$(BIN)/branching score examples/demo/traces.jsonl -o $(DEMO)/scored.jsonl --steps --show --overwrite
	$(BIN)/branching filter $(DEMO)/scored.jsonl -o $(DEMO)/kept.jsonl --dropped $(DEMO)/dropped.jsonl \
		--keep 0.9 --overwrite
	@echo "Look at $(DEMO)/scored.jsonl, $(DEMO)/kept.jsonl and $(DEMO)/dropped.jsonl"
	@echo "For calls of your own: source .venv/bin/activate, then branching --help"

# The shipped models, from the traces and labelled steps in $(DATA) and the labels and traces written for this
# project; goes on where it was stopped. SHORT takes settings for a machine that is slow at training; see "How long
# make model takes" in docs/experiments.md.
SHORT ?=
LABELLED := --gold $(DATA)/gold/train.jsonl.gz --gold training/labels/added_train.parquet --gold training/written \
	--calibrate-on $(DATA)/gold/dev.jsonl.gz
model: .venv/development.stamp
	$(BIN)/branching train $(DATA)/traces $(LABELLED) $(SHORT) -o classifier/default --run runs/model
	$(BIN)/branching train $(DATA)/traces $(LABELLED) --teacher classifier/default --config training/fast.json \
		-o classifier/fast --run runs/fast

# How fast, side by side with what is used today; writes benchmarks/results and docs. About 15 minutes and those
# of BENCH_MEMORY_MINUTES, on a machine that does nothing else. int8 is compared where there are traces to set
# its scales by.
BENCH_MODELS := default fast
BENCH_ROUNDS := 3
BENCH_MEMORY_MINUTES := 15
BENCH_INT8 := $(if $(wildcard $(DATA)/traces),int8=runs/int8:int8)
bench: .venv/development.stamp .venv/peers.stamp $(if $(BENCH_INT8),runs/int8/card.json)
	$(BIN)/python -m benchmarks.compare --variants $(BENCH_MODELS) $(BENCH_INT8) --rounds $(BENCH_ROUNDS)
	$(BIN)/python -m benchmarks.stages --variants $(BENCH_MODELS)
	$(BIN)/python -m benchmarks.sessions --variants $(BENCH_MODELS) $(BENCH_INT8)
	$(BIN)/python -m benchmarks.layouts --variants $(BENCH_MODELS)
	$(BIN)/python -m benchmarks.vocabularies
	$(BIN)/python -m benchmarks.growth --model $(lastword $(BENCH_MODELS))
	$(BIN)/python -m benchmarks.memory --model $(lastword $(BENCH_MODELS)) --minutes $(BENCH_MEMORY_MINUTES)
	$(BIN)/python -m benchmarks.document

runs/int8/card.json: classifier/default/card.json .venv/development.stamp
	rm -rf runs/int8
	$(BIN)/branching export --precision int8 --traces $(DATA)/traces -o runs/int8

# What BentoML makes container images from: for CPUs, and for NVIDIA GPUs.
bento: BENTOFILE := bentofile.yaml
bento-gpu: BENTOFILE := bentofile.gpu.yaml
bento bento-gpu: .venv/development.stamp
	$(BIN)/python -m build --wheel --no-isolation --outdir dist
	$(BIN)/bentoml build -f $(BENTOFILE)

# The comparison of docs/study.md in a small generated world; goes on where it was stopped. reasoning-gym, which
# draws the problems, needs a C compiler.
study-small: .venv/study.stamp
	$(BIN)/branching study --config small -o runs/study-small --processes 2 --threads 1

# Write down what is installed as the versions to develop and test with. Start from no .venv to bring all up
# to date; torch stays at the version named here, whose CPU build is the one to take.
constraints: .venv/bin/python
	$(BIN)/pip install -qq torch==2.13.0 -e '.[$(DEVELOPMENT),study]'
	{ echo "# Versions to develop and test with, written by \`make constraints\`."; \
		$(BIN)/pip freeze --exclude-editable | sed 's/+cpu$$//'; } > constraints.txt

.venv/study.stamp: .venv/development.stamp
	$(BIN)/pip install -qq -c constraints.txt -e '.[study]'
	@touch $@

clean:
	rm -rf .venv $(DEMO) dist site .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and none was found on the PATH." >&2; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/demo.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install -qq -c constraints.txt -e '.[cpu]'
	@touch $@

.venv/peers.stamp: benchmarks/requirements.txt | .venv/bin/python
	$(PYTHON) -m venv .venv/peers
	.venv/peers/bin/pip install -qq -r benchmarks/requirements.txt
	@touch $@

.venv/development.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install -qq -c constraints.txt -e '.[$(DEVELOPMENT)]'
	@touch .venv/demo.stamp $@
