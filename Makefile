# twokey: `make serve` serves, `make test` passes every test. Each sets up what it needs, once.

PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
JOBS ?= 2
# Bytecode is kept, whatever the shell says: without it every command reads all its sources anew, for thrice the time.
unexport PYTHONDONTWRITEBYTECODE

hash = $(firstword $(shell cat $(1) | sha256sum | cut -c1-16))
RUNTIME := $(STAMPS)/runtime-$(call hash,requirements.lock pyproject.toml)
DEVELOPMENT := $(STAMPS)/development-$(call hash,requirements-dev.lock pyproject.toml)
CLIENTS := tests/clients/node_modules/.stamp-$(call hash,tests/clients/package-lock.json)
MONOREPO := tests/clients/monorepo/node_modules/.stamp-$(call hash,tests/clients/monorepo/package-lock.json)
PEERS := bench/peers/node_modules/.stamp-$(call hash,bench/peers/package-lock.json)
# Builds of our own package use the build tools of the development lock, hashes and all.
INSTALL_SELF := $(BIN)/uv pip install --quiet --no-deps --build-constraints requirements-dev.lock --editable .

.PHONY: serve test test-long check bench format lock clean

serve: $(RUNTIME)
	@exec $(BIN)/twokey serve

test: $(DEVELOPMENT) $(CLIENTS) system
	$(BIN)/pytest -n $(JOBS) -m "not long"
	TEST_FAST_LANE=off $(BIN)/pytest -n $(JOBS) -m "not long" tests/http

# Hundreds of kills and the whole client matrix: run before an issue is called resolved.
test-long: $(DEVELOPMENT) $(CLIENTS) $(MONOREPO) system
	$(BIN)/pytest -n $(JOBS)
	TEST_FAST_LANE=off $(BIN)/pytest -n $(JOBS) tests/http

check: $(DEVELOPMENT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/test_architecture.py

# twokey against Verdaccio and nginx; ARGS="--write" renews docs/performance.md. See bench/__main__.py.
bench: $(DEVELOPMENT) $(CLIENTS) $(PEERS) bench-system
	$(BIN)/python -m bench $(ARGS)

format: $(DEVELOPMENT)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The only lock that names no host: see docs/adr/0004-locks-without-hosts.md.
lock: $(DEVELOPMENT)
	$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --all-extras -q -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --all-extras --group dev -q -o requirements-dev.lock

clean:
	rm -rf $(VENV) tests/clients/node_modules tests/clients/monorepo/node_modules bench/peers/node_modules dist

$(BIN)/uv:
	@echo "Setting up twokey in $(VENV) (once) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "twokey needs Python 3.11 or later."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Install the venv module first (Debian: apt-get install python3-venv)."; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(RUNTIME): | $(BIN)/uv
	@$(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements.lock
	@$(INSTALL_SELF)
	@mkdir -p $(STAMPS) && touch $@

$(DEVELOPMENT): | $(BIN)/uv
	@$(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements-dev.lock
	@$(INSTALL_SELF)
	@mkdir -p $(STAMPS) && touch $@ $(RUNTIME)

$(CLIENTS):
	@command -v npm >/dev/null || { echo "The tests need Node 20 or later with npm (Debian: apt-get install nodejs npm)."; exit 1; }
	@echo "Installing the npm clients that the tests drive (once) ..."
	@cd tests/clients && npm ci --silent
	@touch $@

# Hundreds of packages by themselves: only the long tests use them.
$(MONOREPO):
	@echo "Installing Lerna and Changesets for the long tests (once) ..."
	@cd tests/clients/monorepo && npm ci --silent
	@touch $@

$(PEERS):
	@echo "Installing what twokey is measured against (once) ..."
	@cd bench/peers && npm ci --silent
	@touch $@

.PHONY: bench-system
bench-system: SYSTEM := wrk nginx
bench-system: system

# What the tests want of the system: the browser for pages, oathtool for codes that are not ours. Where one is missing and
# may not be installed, its tests say so.
SYSTEM := chromium oathtool
.PHONY: system
system:
	@missing=""; for each in $(SYSTEM); do command -v $$each >/dev/null || missing="$$missing $$each"; done; \
	[ -z "$$missing" ] || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing$$missing (once) ..."; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  else echo "Missing:$$missing. Their tests will be skipped (Debian: apt-get install$$missing)."; fi; }
