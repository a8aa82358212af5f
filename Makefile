# make demo    set up, then back real files up over simulated days, list and restore them
# make test    set up, then run the tests
# make check   set up, then lint: ruff, mypy, import-linter
# make bench   set up, then measure; BENCH_ARGS='fleet --profile', say, chooses what
# make changelog VERSION=…   gather the change notes

PYTEST_ARGS ?= -n auto --dist worksteal

.PHONY: demo test check bench changelog clean

demo:
	@tools/set-up run
	@.venv/bin/cya demo $(DEMO_ARGS)

test:
	@tools/set-up test
	.venv/bin/python -m pytest $(PYTEST_ARGS)

check:
	@tools/set-up test
	.venv/bin/ruff format --check src tests bench
	.venv/bin/ruff check src tests bench
	.venv/bin/mypy
	.venv/bin/lint-imports

bench:
	@tools/set-up bench
	.venv/bin/python -m bench $(BENCH_ARGS)

changelog:
	.venv/bin/towncrier build --yes --version $(VERSION)

clean:
	rm -rf .venv .venv-duplicity3 .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
