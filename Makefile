# `make` alone prints what there is. PYTHON=python3.12 picks another interpreter.
PYTHON ?= python3
PIP := -m pip --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.PHONY: help run test soak test-fast check format lock picture clean venv venv-dev debian
# One target at a time, also under make -j: they share the two environments.
.NOTPARALLEL:

help: ## print this
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
		|| sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1  \2/p' $(MAKEFILE_LIST)

run: venv ## install into .venv if need be, and start the demo
	@.venv/bin/apftui --demo $(ARGS)

test: debian venv-dev check ## check, then every test, with pool and PanDA (CI=true: they must start)
	@.venv-dev/bin/python -m pytest -m "not pool and not panda" -n 4 --dist worksteal --durations=5 $(ARGS)
	@.venv-dev/bin/python -m pytest -m "pool or panda" -n 2 --dist loadfile --durations=5 $(ARGS)

soak: debian venv-dev ## the kills of factory, submitter and schedd, twenty times as often (an hour)
	@APFTUI_TEST_ROUNDS=20 .venv-dev/bin/python -m pytest --timeout=3600 \
		tests/faults/test_exactly_once.py tests/pool/test_kill_matrix.py $(ARGS)

test-fast: venv-dev ## the tests that need neither pool, PanDA nor a terminal
	@.venv-dev/bin/python -m pytest -m "not pool and not panda and not e2e" -n 4 --dist worksteal $(ARGS)

check: venv-dev ## ruff (lint, format), mypy --strict, import-linter
	@.venv-dev/bin/ruff check .
	@.venv-dev/bin/ruff format --check .
	@.venv-dev/bin/mypy --strict apftui core plugins tests
	@.venv-dev/bin/lint-imports --no-logo

format: venv-dev ## let ruff mend what it can
	@.venv-dev/bin/ruff check --fix --exit-zero .
	@.venv-dev/bin/ruff format .

lock: ## renew both lock files from pyproject.toml
	$(need_python)
	@[ -x .venv-lock/bin/uv ] || { "$(PYTHON)" -m venv --clear .venv-lock && .venv-lock/bin/python $(PIP) install -q uv; }
	@$(compile) --output-file requirements.lock
	@$(compile) --extra dev --constraint requirements.lock --output-file requirements-dev.lock
	@! grep -nE '://|^ *--(extra-|default-)?index|find-links|trusted-host' requirements.lock requirements-dev.lock \
		|| { echo "a lock file names a package host: it must not" >&2; exit 1; }

picture: venv-dev ## export the README's picture from the console on a running factory
	@.venv-dev/bin/python -m tests.console.picture docs/console.svg

compile = .venv-lock/bin/uv pip compile --quiet --no-config --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml

clean: ## remove environments, caches and builds
	rm -rf .venv .venv-dev .venv-lock dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -exec rm -rf {} +

debian:
	@PYTHON="$(PYTHON)" tests/install_debian.sh

venv:
	$(need_python)
	$(call make_venv,.venv,requirements.lock)

venv-dev:
	$(need_python)
	$(call make_venv,.venv-dev,requirements-dev.lock)

# Never installs anything outside this folder: says what to type, and make exits with 2.
define need_python
@python="$(PYTHON)"; say() { printf '%s\n' "$$@" >&2; exit 2; }; \
case $$python in python3.*) package=$$python;; *) package=python3;; esac; \
command -v "$$python" >/dev/null 2>&1 \
	|| say "apftui needs Python 3.11 or newer, and there is no $$python here. Type:" "    sudo apt-get install $$package $$package-venv"; \
version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') \
	|| say "$$python does not run. Type:" "    sudo apt-get install $$package $$package-venv"; \
"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	for newer in python3.13 python3.12 python3.11; do \
		"$$newer" -c 'import ensurepip' >/dev/null 2>&1 \
			&& say "apftui needs Python 3.11 or newer, $$python is $$version. Type:" "    make $(MAKECMDGOALS) PYTHON=$$newer"; \
	done; \
	say "apftui needs Python 3.11 or newer, $$python is $$version. Type:" \
		"    sudo apt-get install python3.11 python3.11-venv && make $(MAKECMDGOALS) PYTHON=python3.11"; }; \
"$$python" -c 'import venv, ensurepip' >/dev/null 2>&1 || { \
	case $$python in python3) package=python3-venv;; *) package=python$$version-venv;; esac; \
	say "$$python cannot make virtual environments. Type:" "    sudo apt-get install $$package"; }
endef

# $(1) is the environment, $(2) its lock. Made anew only if the lock, pyproject.toml, the
# interpreter or this folder's place changed; the stamp is written last, so that an
# interrupted installation is not taken for a whole one. Editable: changed sources need nothing.
define make_venv
@stamp=$$({ cat $(2) pyproject.toml; "$(PYTHON)" -c 'import sys; print(sys.version, sys.base_prefix)'; pwd; } | sha256sum); \
[ "$$(cat $(1)/stamp 2>/dev/null)" = "$$stamp" ] && exit 0; \
echo "installing into $(1), once" >&2; \
set -e; \
"$(PYTHON)" -m venv --clear $(1); \
$(1)/bin/python $(PIP) install -q --require-hashes -r $(2); \
$(1)/bin/python $(PIP) install -q --no-deps $(if $(findstring dev,$(2)),--no-build-isolation) --editable .; \
$(1)/bin/python $(PIP) check >/dev/null || { $(1)/bin/python $(PIP) check >&2; echo "the lock does not fit pyproject.toml: make lock" >&2; exit 1; }; \
echo "$$stamp" >$(1)/stamp
endef
