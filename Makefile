# Everything that people and CI do here, one target each; `make help` lists them. Targets work from a clean clone: what one
# needs it brings.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
# Node comes from npm: the machine's own may be too old for the program.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

# npm's own record of what it installed: newer than the lock file means that nothing is to do.
NPM := node_modules/.package-lock.json
# More for Jest, as in `make test JEST='-t "seven"'`.
JEST ?=
# Where the test targets leave Jest's results as JSON, for those who add them up.
RESULTS ?=
results = $(if $(RESULTS),--json --outputFile=$(RESULTS)/$(1).json)

.PHONY: help setup build generate verify lint test test-integration e2e demo demo-disaster cluster-up cluster-down image bench bench-check bench-memory bench-report scale
.DEFAULT_GOAL := help

help: ## Explain every target
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(NPM) ## Install npm packages and what the tests need; as root on Debian the system's packages too
	@node test/ground/setup.ts

# `npm ci` begins by deleting everything, so it runs only when what is installed is not what the lock file says.
$(NPM): package.json package-lock.json
	@[ -f $@ ] && npm ls --all >/dev/null 2>&1 || npm ci --no-fund --no-audit
	@touch $@

build: $(NPM) ## Bundle the program into dist/; dist/tenant-backup is what people run
	@npm run --silent build

generate: $(NPM) ## Write CRDs, the chart's copy of them and docs/reference from the schemas in src/api
	@npm run --silent generate

verify: $(NPM) ## Fail where generated files differ from what `make generate` would write
	@npm run --silent verify

lint: $(NPM) ## Check types, style and the one-way imports
	@npm run --silent lint

test: setup build ## Run the tests that need no cluster: unit, contract, interop, integration
	npm run --silent jest -- --selectProjects unit contract interop integration $(call results,test) $(JEST)

test-integration: setup build ## Run only those of them that need real S3, KMS or restic: interop, integration
	npm run --silent jest -- --selectProjects interop integration $(call results,test-integration) $(JEST)

e2e: setup build ## Run the tests on a cluster, which is brought up first and taken down again if there was none
	node test/ground/with-ground.ts npm run --silent jest -- --runInBand --selectProjects e2e chaos $(call results,e2e) $(JEST)

demo: setup build ## Back up, lose and restore a customer's data on a cluster, which stays up afterwards (SEED= changes the data)
	node test/ground/up.ts
	node test/e2e/demo.ts

demo-disaster: setup build ## Attack and lose the first data center, and bring every customer back from the second alone
	node test/e2e/demo-disaster.ts

cluster-up: setup build ## Bring up Kubernetes, two S3 services and two KMS in .cluster/, with image and chart; again: bring those up to date
	@node test/ground/up.ts

cluster-down: $(NPM) ## Remove all of that again, after a crash too
	@node test/ground/down.ts

image: setup build ## Build the image from the Dockerfile, and put it onto the node of a running ground
	@node test/ground/images.ts

# DATA= names of scripts/bench/data.ts and replicate; RUNS= rounds; SCALE= a share of the full size; SEED=; PEERS= of those on PATH; FROM= a file of results.
bench_options = $(if $(DATA),--data $(DATA)) $(if $(RUNS),--runs $(RUNS)) $(if $(SCALE),--scale $(SCALE)) $(if $(SEED),--seed $(SEED))
bench_peers = $(if $(PEERS),--peers $(PEERS))

bench: setup build ## Measure ours and every backup program on PATH on the same data, in turn (DATA= RUNS= SCALE=); reports and never fails on a time
	-node scripts/bench.ts $(bench_options) $(bench_peers)

bench-check: setup build ## The same, then fail where a ratio is below its target (FROM=FILE: of results that are there); by hand
	$(if $(FROM),,node scripts/bench.ts $(bench_options) $(bench_peers))
	@node scripts/bench/check.ts $(FROM)

bench-memory: setup build ## Run ours below a limit of 256 MiB on a million files and on 1 TiB of holes (DATA= SCALE=); as root
	node scripts/bench/memory.ts $(filter-out --runs $(RUNS),$(bench_options))

bench-report: $(NPM) ## Write docs/benchmarks.md, its plot and its numbers from what was measured last
	@node scripts/bench/report.ts $(FROM)

scale: setup build ## Measure the operator with SCALE=10000 policies on simulated nodes (STORM=no: without a night); writes docs/scale.md
	node test/scale/scale.ts
