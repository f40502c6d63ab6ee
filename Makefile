# People and CI call the same targets; each makes .venv first where it is missing or older than pyproject.toml.
PYTHON ?= python3
LISTEN ?= 127.0.0.1:50051
HTTP ?= 127.0.0.1:50080
SYMBOL ?= BTC
TIMEFRAME ?= 24h
BIN := .venv/bin

.PHONY: demo page page-code screenshot watch test lint format bench prove proto proto-release clean
.DELETE_ON_ERROR:

demo: .venv/.installed-server  ## a simulated market and its page on http://127.0.0.1:50080, served until Ctrl-C
	@$(PYTHON) clients/web/packages.py --page || true  # without the page the rest is served all the same
	@$(BIN)/liqscape serve --source simulate --listen $(LISTEN) --http $(HTTP)

page:  ## fetch what the page imports, by npm
	@$(PYTHON) clients/web/packages.py --page

page-code:  ## rewrite what of the page is generated
	@$(PYTHON) clients/web/generate.py

screenshot: .venv/.installed-dev  ## draw the picture of README.md
	@$(BIN)/python -m tests.browser.screenshot docs/page.jpg

watch: .venv/.installed-server  ## its heatmap, in a second terminal
	@$(BIN)/liqscape watch --address $(LISTEN) $(SYMBOL) $(TIMEFRAME)

# Each worker would rewrite 400 test files, 9 s of a core, and each server compile the package, where Python keeps nothing.
test: .venv/.installed-dev  ## every test, a worker a core; ARGS="-k ring" narrows it
	@unset PYTHONDONTWRITEBYTECODE; $(BIN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

lint: .venv/.installed-dev  ## every check that runs no test
	@PYTHON="$(PYTHON)" .ci/lint

format: .venv/.installed-dev  ## put the code into the one format that lint wants
	@$(BIN)/ruff check --quiet --fix
	@$(BIN)/ruff format --quiet

bench: .venv/.installed-dev  ## every benchmark, one after the other
	@set -e; for file in benchmarks/bench_*.py; do $(BIN)/python -m benchmarks.$$(basename $$file .py); done

prove: .venv/.installed-dev  ## every claim at full size, kept in benchmarks/results
	@$(BIN)/python -m benchmarks.prove $(ARGS)

proto:  ## rewrite server/liqscape/v1 from proto/
	@$(PYTHON) proto/generate.py

proto-release:  ## the protocol as it is becomes proto/released.binpb, which later ones must not break
	@$(PYTHON) proto/buf.py release

clean:  ## forget everything that was built or installed
	@rm -rf .venv .proto-venv .buf artifacts tests/node/node_modules clients/web/node_modules dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The demo needs no developer tools, so it does not wait for them.
.venv/.installed-server: EXTRAS = server
.venv/.installed-dev: EXTRAS = server,dev
.venv/.installed-server .venv/.installed-dev: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("liqscape needs Python 3.11 or newer: make PYTHON=python3.12")'
	@echo "installing liqscape[$(EXTRAS)] into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	@touch .venv/.installed-server $@
