# `make help` lists the targets. Most work on every module of the repository;
# MODULES="./a ./b" picks some.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := test
.NOTPARALLEL:
.PHONY: test setup fmt-check tidy-check vet cross race flaky lint fmt vuln apidiff \
	bench bench-check compare load million tokens start fleet recover fuzz soak mutations reliability cover help

MODULES ?= $(shell find . -name go.mod -not -path '*/.*' -not -path '*/testdata/*' -exec dirname {} \; | sort)

# Tools run by version, never through a go.mod: they are no dependency of the library.
GOLANGCI_LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   := go run golang.org/x/vuln/cmd/govulncheck@v1.8.0
export APIDIFF := go run golang.org/x/exp/cmd/apidiff@v0.0.0-20261113113407-e3970619a1a4

export BENCH    ?= .
export FUZZTIME ?= 20s
export JOBS     ?= 1

bench:       export COUNT ?= 1
flaky:       export COUNT ?= 30
reliability: export RELIABILITY_MINUTES ?= 10

# The result is the same inside a workspace, and in a clone that git does not trust.
export GOWORK  := off
export GOFLAGS := $(GOFLAGS) -buildvcs=false

# each runs a command in every module and stops at the first that fails.
each = @for module in $(MODULES); do (cd "$$module" && echo "== $$module: $(1)" && $(1)); done

test: setup fmt-check tidy-check vet cross race ## every check that must pass; CI runs the same

setup: ## install what the tests need and the machine lacks
	@scripts/setup.sh

fmt-check: ## fail if a file is not formatted
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted, run make fmt:"; echo "$$unformatted"; exit 1; }

tidy-check: ## fail if a go.mod or go.sum is not tidy
	$(call each,go mod tidy -diff)

vet: ## go vet
	$(call each,go vet ./...)

# Vetting for 386 also compiles the tests: constants that overflow an int show up there.
cross: ## build for 386 and arm64
	$(call each,GOARCH=386 go build -o /dev/null ./...)
	$(call each,GOARCH=386 go vet ./...)
	$(call each,GOARCH=arm64 go build -o /dev/null ./...)

# The packages of reliability take all processors there are: one after the other.
race: ## only the tests, with the race detector
	$(call each,CGO_ENABLED=1 go test $$(test $$module != ./reliability || echo -p=1) -race -count=1 -shuffle=on -timeout=8m ./...)

flaky: ## all tests COUNT=30 times, each round shuffled anew; FLAKY="plain race"
	@scripts/flaky.sh $(MODULES)

lint: ## the linters
	$(call each,$(GOLANGCI_LINT) run --config $(CURDIR)/.golangci.yml ./...)

fmt: ## format all code
	$(call each,$(GOLANGCI_LINT) fmt --config $(CURDIR)/.golangci.yml ./...)

vuln: ## known vulnerabilities in what the code calls
	$(call each,$(GOVULNCHECK) ./...)

apidiff: ## fail if the API is incompatible with the newest tag
	$(call each,$(CURDIR)/scripts/apidiff.sh)

bench: ## the benchmarks; BENCH=regexp COUNT=n
	$(call each,go test -run=NONE -bench="$$BENCH" -benchmem -count="$$COUNT" -timeout=60m ./...)

bench-check: ## fail if a hit or a Telnyx call costs too much compared with its floor
	cd bench && go run ./check

compare: ## us and the peers on the same work, for ten minutes; writes docs/benchmarks
	cd bench && go run . -within 10m

load: ## 10,000 callers for a minute, and calls over real sockets, with what both cost
	cd bench && go run ./load

million: ## a million rooms, built and kept fresh, with what that costs
	cd bench && go run ./million

tokens: ## a million rooms with tokens like those of Telnyx: memory, garbage collection, hits
	cd bench && go run ./tokens

start: ## 100,000 rooms that start at once, and again after an outage, over TLS
	cd bench && go run ./start

fleet: ## what it costs to share tokens through Redis, on a redis-server of its own
	cd bench && go run ./fleet

recover: ## us and adaptive limiters after an outage, in simulated time, for a few minutes
	cd bench && go test -count=1 -v ./recover -args -recover.runs=15 -recover.outage=10m

fuzz: ## each Fuzz function for FUZZTIME=20s
	$(call each,$(CURDIR)/scripts/fuzz.sh)

soak: ## the simulation, until stopped or for SOAK=duration; SIM=Fleet: that of a fleet
	go test -run='^Test$(SIM)Simulation$$' -count=1 -timeout=0 -v . -args -sim.for="$${SOAK:-8760h}" -sim.from="$$(date +%s)"

mutations: ## break the library on purpose and count the seeds of the simulation that notice; JOBS=1
	go run ./scripts/mutations -j "$$JOBS"

reliability: ## real sockets and processes, each fault for RELIABILITY_MINUTES=10
	cd reliability && CGO_ENABLED=1 go test -race -count=1 -v -timeout="$$(( RELIABILITY_MINUTES * 2 + 20 ))m" ./...

cover: ## statement coverage per package, in coverage.out
	@scripts/cover.sh

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
