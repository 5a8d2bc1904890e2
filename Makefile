# `make help` lists the targets. Each works on every module of the repository;
# MODULES="./a ./b" picks some.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := test
.NOTPARALLEL:
.PHONY: test setup fmt-check tidy-check vet cross race lint fmt bench bench-check compare load million fuzz cover reliability soak mutations help

MODULES ?= $(shell find . -name go.mod -not -path '*/.*' -not -path '*/testdata/*' -exec dirname {} \; | sort)

# Run by version, never through go.mod: tools are no dependency of the library.
GOLANGCI_LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

export BENCH    ?= .
export COUNT    ?= 1
export FUZZTIME ?= 20s

reliability: export RELIABILITY_MINUTES ?= 10

# The same result inside somebody's workspace, and in a clone that git distrusts.
export GOWORK  := off
export GOFLAGS := $(GOFLAGS) -buildvcs=false

# each runs a command in every module and stops at the first that fails.
each = @for module in $(MODULES); do (cd "$$module" && echo "== $$module: $(1)" && $(1)); done

test: setup fmt-check tidy-check vet cross race ## everything that must hold, the main check

setup: ## install what the tests need and the machine lacks
	@scripts/setup.sh

fmt-check:
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted, run make fmt:"; echo "$$unformatted"; exit 1; }

tidy-check:
	$(call each,go mod tidy -diff)

vet:
	$(call each,go vet ./...)

# 386 also has its tests checked: constants that overflow an int show there.
cross:
	$(call each,GOARCH=386 go build ./...)
	$(call each,GOARCH=386 go vet ./...)
	$(call each,GOARCH=arm64 go build ./...)

race: ## the tests alone, with the race detector
	$(call each,CGO_ENABLED=1 go test -race -count=1 -shuffle=on -timeout=8m ./...)

lint: ## the linters
	$(call each,$(GOLANGCI_LINT) run --config $(CURDIR)/.golangci.yml ./...)

fmt: ## format all code
	$(call each,$(GOLANGCI_LINT) fmt --config $(CURDIR)/.golangci.yml ./...)

bench: ## benchmarks; BENCH=regexp COUNT=n
	$(call each,go test -run=NONE -bench="$$BENCH" -benchmem -count="$$COUNT" -timeout=60m ./...)

bench-check: ## fails if a hit or a Telnyx call costs more than its floor and a slack
	cd bench && go run ./check

compare: ## us and the peers on the same work, about ten minutes; writes docs/benchmarks
	cd bench && go run . -within 10m

load: ## 10,000 callers for a minute, and calls over real sockets, with what both cost
	cd bench && go run ./load

million: ## a million rooms, built and kept fresh, with what that costs
	cd bench && go run ./million

fuzz: ## each Fuzz function for FUZZTIME=20s
	$(call each,$(CURDIR)/scripts/fuzz.sh)

soak: ## the simulation, until stopped or for SOAK=duration
	go test -run='^TestSimulation$$' -count=1 -timeout=0 -v . -args -sim.for="$${SOAK:-8760h}" -sim.from="$$(date +%s)"

mutations: ## break the library on purpose and count the seeds of the simulation that notice
	go run scripts/mutations.go

reliability: ## real sockets and processes, each fault for RELIABILITY_MINUTES=10
	cd reliability && CGO_ENABLED=1 go test -race -count=1 -v -timeout="$$(( RELIABILITY_MINUTES * 2 + 20 ))m" ./...

cover: ## statement coverage per package, in coverage.out
	@scripts/cover.sh

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
