# Everything starts here: `make help`. The work is done by harness/ and tests/tools/; the targets only say what follows what.

.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# What a person may set, on make's command line only (WSL, for one, has a NAME of its own in the environment). The values are
# data: never expanded by make, never part of a shell command's text. Recipes read them from the environment, quoted.
INPUTS := NAME RUNTIME RUN RESUME RETRY STRICT MODEL PORT PYTHON UPGRADE HOSTS
literal = $(if $(filter command,$(firstword $(origin $1))),$(value $1))
$(foreach input,$(INPUTS),$(eval override $(input) := $$(call literal,$(input))))
export $(INPUTS)

# $(call switch,RESUME,--resume): the option, where the variable is set to anything but 0, no or false.
switch = $(if $(filter-out 0 no false,$($1)),$2)
# $(call option,RUN,--run): the option with the variable's value, as one word for the shell.
option = $(if $($1),$2="$$$1")

# $(call need,RUN,2026-…): a line and status 2 where the variable is missing.
need = [ -n "$$$1" ] || { echo "$1 is missing, as in $1=$2" >&2; exit 2; }

harness := .venv/bin/python -m harness
pytest := .venv/bin/python -m pytest

.PHONY: help experiment plan report serve verify testbed testbed-down setup schema lock check lint unit test soak bench accuracy clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

experiment: ## Run experiments/NAME.yaml: NAME=quickstart [HOSTS=testbed] [RUNTIME=docker|process|auto] [RESUME=1] [RETRY=1] [STRICT=1]
	@path=$$(harness/experiment-path.sh) && harness/setup.sh runtime && exec $(harness) run "$$path" \
	    $(call option,HOSTS,--hosts) $(call option,RUNTIME,--runtime) $(call switch,RESUME,--resume) $(call switch,RETRY,--retry) $(call switch,STRICT,--strict)

plan: ## Check experiments/NAME.yaml and print its trials and duration, running nothing: NAME=quickstart
	@path=$$(harness/experiment-path.sh) && harness/setup.sh runtime && exec $(harness) plan "$$path"

report: ## Make the report of an experiment again, from its stored results: NAME=quickstart [RUN=…]
	@$(call need,NAME,quickstart)
	@harness/setup.sh runtime && exec $(harness) report $(call option,RUN,--run) -- "$${NAME##*/}"

serve: ## Run one model in the foreground, to look at or to load: MODEL=reactor PORT=8080 [RUNTIME=docker|process|auto]
	@$(call need,MODEL,reactor); $(call need,PORT,8080)
	@harness/setup.sh runtime && exec $(harness) serve $(call option,PORT,--port) $(call option,RUNTIME,--runtime) -- "$$MODEL"

verify: ## Put a model's server to the conformance suite: MODEL=reactor [RUNTIME=docker|process|auto]
	@$(call need,MODEL,reactor)
	@harness/setup.sh runtime && exec $(harness) verify $(call option,RUNTIME,--runtime) -- "$$MODEL"

testbed: ## Make SSH + Docker hosts on this machine, and experiments/hosts/testbed.yaml: [HOSTS=3]
	@harness/setup.sh runtime && exec $(harness) testbed up $(call option,HOSTS,--hosts)

testbed-down: ## Remove them: hosts, disks, network, inventory and keys
	@harness/setup.sh runtime && exec $(harness) testbed down

setup: ## Only the set-up: .venv from the hashed lock, again only when the lock changes
	@harness/setup.sh runtime

check: lint unit ## Lint, types, import direction and the quick tests, under a minute

lint: ## ruff, mypy, import-linter
	@harness/setup.sh dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

unit: ## The quick tests
	@harness/setup.sh dev
	$(pytest) -n 2 -m "not slow and not docker and not browser and not soak"

test: ## Every check and test but the soak; as root on Debian or Ubuntu it installs what is missing
	@harness/setup.sh dev && exec .venv/bin/python tests/tools/run_tests.py test

soak: ## The long runs
	@harness/setup.sh dev && exec .venv/bin/python tests/tools/run_tests.py soak

bench: ## Every gate of the load client, then the servers beside nginx; as root on Debian or Ubuntu it installs what is missing
	@harness/setup.sh dev && exec .venv/bin/python tests/tools/run_tests.py bench

accuracy: ## Make docs/accuracy.md again, from its stored run, or from another: RUN=.ceiling/bench/run.json
	@harness/setup.sh dev && exec .venv/bin/python -m tests.bench.accuracy $${RUN:+"$$RUN"}

schema: ## Make the generated files again: JSON Schemas, docs/spec.md, docs/results.md
	@harness/setup.sh dev && exec .venv/bin/python tests/tools/regenerate.py

lock: ## Make requirements/*.txt again from pyproject.toml; UPGRADE=1 takes the newest versions
	@tests/tools/lock.sh $(call switch,UPGRADE,--upgrade)

clean: ## Remove .venv and every cache; never results
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find harness images tests -name __pycache__ -type d -prune -exec rm -rf {} +
