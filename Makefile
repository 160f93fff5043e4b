# `make demo` (WEB=1: with its pages) and `make test` set up everything they need; a fresh machine has to bring Python 3.11 or later and make.
PYTHON ?= python3
STORE ?= directory
DEMO ?=
WEB ?=
N ?= 20000
SEED ?= 1
JOBS ?= 2
CHANGES ?= 10000
RACES ?= 1000
STEPS ?= 100000
ASKED ?= 300
TESTERS ?= 2
BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-header --upgrade pyproject.toml --group build

# Debian's and Ubuntu's names; the bindings are for the system's own Python.
SYSTEM_PYTHON := /usr/bin/python3
RTSP := gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad

.PHONY: demo test test-fast lint types tests minio mailpit witness rtsp broker proxy prometheus cluster races asked bench bench-quick fuzz faults tamper \
	worlds docs lock clean

demo: .venv/run
	$(BIN)/lamplighter demo --store $(STORE) $(if $(WEB),--web) $(DEMO)

test: lint types tests

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy

# What one runs on every save: no Ray, no servers, under a minute on 2 cores.
test-fast: .venv/dev
	$(BIN)/pytest --fast --numprocesses auto --quiet

tests: .venv/dev minio mailpit witness rtsp broker proxy prometheus
	@date +'%T the tests begin'
	$(BIN)/pytest --numprocesses $(TESTERS) --dist loadfile

# Who refuses against who releases, by the thousand, and a long walk at random; some hours on 2 cores.
races: .venv/dev
	$(BIN)/pytest tests/workers/test_races.py tests/workers/test_walk.py --races $(RACES) --steps $(STEPS) --capture no \
		--override-ini faulthandler_timeout=0

# The API, asked by schemathesis as each of six roles for five minutes.
asked: .venv/dev
	$(BIN)/pytest tests/lamplighter/web/test_api.py --asked $(ASKED) --override-ini faulthandler_timeout=0 --timeout 900

# Built once per machine, in about four minutes, outside the tests' time limits.
minio: .venv/run
	$(BIN)/python -m storage.minio_server

# The mail server of the tests and of the benchmark, built as MinIO is. Without it they are skipped, or fail where CI=true.
mailpit: .venv/run
	@$(BIN)/python -m simulation.mailpit || echo "No Mailpit, so the tests that send mail cannot run"

# Go's verifier of logs and a real witness, for the tests alone, built as MinIO is; the same holds without them.
witness: .venv/dev
	@PYTHONPATH=.:tests $(BIN)/python -m witnesses || echo "No verifier in Go, or no witness: the tests of the log by others cannot run"

# The camera of the tests. Without it they are skipped, or fail where CI=true.
rtsp:
	@$(SYSTEM_PYTHON) tests/rtsp_server.py 2>/dev/null || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing GStreamer's RTSP server for the tests (once)"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $(RTSP) >/dev/null \
		|| echo "It cannot be installed; the tests of RTSP cameras cannot run"; \
	else \
		echo "No RTSP server, so the tests of RTSP cameras cannot run; on Debian or Ubuntu:"; \
		echo "sudo apt-get install --no-install-recommends $(RTSP)"; \
	fi

# The proxy of the tests. Without it that of a shared cache is skipped, or fails where CI=true.
proxy:
	@command -v nginx >/dev/null || test -x /usr/sbin/nginx || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing nginx for the tests (once)"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends nginx-light >/dev/null \
		|| echo "It cannot be installed; the test of a shared cache cannot run"; \
	else \
		echo "No nginx, so the test of a shared cache cannot run; on Debian or Ubuntu: sudo apt-get install nginx-light"; \
	fi

# The broker of the tests. Without it those of alerts by MQTT are skipped, or fail where CI=true.
broker:
	@command -v mosquitto >/dev/null || test -x /usr/sbin/mosquitto || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing mosquitto for the tests (once)"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends mosquitto >/dev/null \
		|| echo "It cannot be installed; the tests of alerts by MQTT cannot run"; \
	else \
		echo "No mosquitto, so the tests of alerts by MQTT cannot run; on Debian or Ubuntu: sudo apt-get install mosquitto"; \
	fi

# The Prometheus of the tests, unpacked from Debian's package, which starts no service. Without it those of the dashboard are
# skipped, or fail where CI=true.
prometheus:
	@into="$${XDG_CACHE_HOME:-$$HOME/.cache}/lamplighter"; command -v prometheus >/dev/null || test -x "$$into/prometheus/usr/bin/prometheus" || { \
		echo "Getting Prometheus for the tests (once)"; mkdir -p "$$into/prometheus.deb" && cd "$$into/prometheus.deb" \
		&& apt-get -qq update && apt-get -qq download prometheus && dpkg -x prometheus_*.deb "$$into/prometheus"; } \
		|| echo "No Prometheus, so the tests of the dashboard cannot run; on Debian or Ubuntu: sudo apt-get install prometheus"

# The lists and the picture of the imports are made anew; a dead link ends it.
docs: .venv/dev
	$(BIN)/python -m docs.inventory
	$(BIN)/python -m docs.rooms
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Open site/index.html"

# Everything, in about 20 minutes on 2 cores; the first run on a machine also films the reels (two minutes, once).
bench: .venv/dev minio mailpit
	$(BIN)/lamplighter bench

# Broken clips by the thousand, some ten minutes on one core: make fuzz N=20000 SEED=1 JOBS=2. Ends with 1 when it finds a bug.
fuzz: .venv/dev
	$(BIN)/python -m benchmarks.fuzz --mutants $(N) --seed $(SEED) --jobs $(JOBS)

# Workers, drivers, machines and stores killed, frozen and shut away, within an hour. Ends with 1 when anything was lost or doubled.
faults: .venv/dev minio
	$(BIN)/python -m benchmarks.faults

# A bucket and a package, changed at random and judged, some twenty minutes on two cores: make tamper CHANGES=10000 SEED=1 JOBS=2.
# Ends with 1 when a change was not found, or not with its place.
tamper: .venv/dev
	$(BIN)/python -m benchmarks.tamper --changes $(CHANGES) --seed $(SEED) --jobs $(JOBS)

# Two worlds that differ in secrets alone, by the hundred thousand steps: make worlds STEPS=100000 SEED=1. Ends with 1 when an officer
# could tell them apart.
worlds: .venv/dev
	PYTHONPATH=.:tests $(BIN)/python -m world.long --steps $(STEPS) --seed $(SEED)

# Small forms that show that it works; rough figures, kept apart.
bench-quick: .venv/dev minio mailpit
	$(BIN)/lamplighter bench --quick

.venv/run: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lamplighter needs Python 3.11 or later; make PYTHON=python3.12 ...")'
	@echo "Setting up .venv (about a minute)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev: requirements-dev.txt .venv/run
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-dev.txt
	@touch $@

# Three machines of their own on this one, as docs/how-to/cluster.md tells; wants root and network namespaces.
cluster: .venv/dev .venv/cluster/there minio
	$(BIN)/pytest tests/faults/test_cluster.py --faults --override-ini faulthandler_timeout=0

# What a node of a cluster needs besides, apart from all else: the other tests run on what most have. Without it those of a real
# cluster are skipped, or fail where CI=true.
.venv/cluster/there: requirements-cluster.txt .venv/dev
	@rm -rf .venv/cluster && $(BIN)/python -m venv --without-pip .venv/cluster
	@$(BIN)/python -c 'import glob, pathlib, sysconfig; (site,) = glob.glob(".venv/cluster/lib/python*/site-packages"); \
		pathlib.Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")'
	@$(BIN)/python -m pip --python .venv/cluster/bin/python install --quiet --require-hashes --requirement $< && touch $@ \
		|| echo "Ray's dashboard cannot be installed; the tests of a real cluster cannot run"

# Needs uv; writes the three files every installation comes from.
lock: .venv/dev
	$(COMPILE) --output-file requirements.txt
	$(subst --group build,,$(COMPILE)) --extra cluster --constraint requirements.txt --output-file requirements-cluster.txt
	$(COMPILE) --group dev --group bench --group docs --constraint requirements.txt --output-file requirements-dev.txt

clean:
	rm -rf .venv build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
