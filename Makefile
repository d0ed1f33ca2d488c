# `make` prints the menu: what stands behind each ## below.

SHELL := /bin/sh
BIN := .venv/bin
COMPOSE ?= $(shell command -v docker-compose >/dev/null 2>&1 && echo docker-compose || echo docker compose)
export PYTHON

.DEFAULT_GOAL := menu
.PHONY: menu run up down logs check test test-providers test-vendors test-engine bench new-provider docs lock clean

menu:
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	     /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo

##@ Start Parley
run: ## the whole stack here, without Docker or root, in the foreground (ARGS="--gateways 4")
	@deploy/venv.sh run
	@exec $(BIN)/parley up $(ARGS)

up: ## the whole stack in Docker, in the background (SCALE=4 for four gateways)
	$(COMPOSE) up -d --build $(if $(SCALE),--scale gateway=$(SCALE))

down: ## end it; what Redis and the secret's volume hold stays
	$(COMPOSE) down

logs: ## what the gateways in Docker say
	$(COMPOSE) logs -f --tail 50 gateway

##@ Work on Parley
check: ## style, types, who imports whom; quick and offline
	@deploy/venv.sh test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## check, and every test that needs no Docker and no vendor's client (ARGS="-k nginx")
	$(BIN)/python -m pytest tests --ignore=tests/engine -m "not vendor and not provider" -n 3 --dist loadfile $(ARGS)

test-providers: ## the contract of every provider, scene by scene, through the real front
	@deploy/venv.sh test
	$(BIN)/python -m pytest tests --ignore=tests/engine -m "provider and not vendor" -n 2 --dist loadfile $(ARGS)

test-vendors: ## the vendors' own clients, unmodified, against the stand-ins and against Parley
	@deploy/venv.sh test
	$(BIN)/python -m pytest tests --ignore=tests/engine -m vendor -n 2 --dist loadfile $(ARGS)

test-engine: ## docker-compose.yml on a real Docker engine: up, scale, kill, restart under load
	@deploy/venv.sh test
	$(BIN)/python -m pytest tests/engine $(ARGS)

bench: ## what Parley costs beside plain nginx, on this machine (needs a C compiler)
	@deploy/venv.sh test
	$(BIN)/python deploy/bench/bench.py $(ARGS)

new-provider: ## a provider, its stand-in, its tests and its page, to begin with (NAME=toucan)
	@deploy/venv.sh test
	@$(BIN)/python deploy/new_provider/make.py $(NAME)

docs: ## write anew what is generated of docs/ (upstreams, configuration, command), and config/parley.schema.json
	@deploy/venv.sh test
	$(BIN)/python deploy/upstreams.py
	$(BIN)/python deploy/configuration.py
	$(BIN)/python deploy/command_page.py

lock: ## write the hashed lock files anew (needs uv)
	requirements/lock.sh

clean: ## forget environments and caches; .parley, which holds your secret, stays
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .schemathesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf shared/*.egg-info *.egg-info
