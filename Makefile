# Stile's commands. `make help` lists them.
# Works with GNU make 3.81 (macOS) and later; what is longer than a few lines is in scripts/ and tools/.
SHELL := bash
# make 3.81 ignores the next line, so no recipe relies on it for more than an early end.
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := help
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules --no-print-directory

# Everything made here goes below .tmp, and tools there are told apart by version.
BIN := $(CURDIR)/.tmp/bin
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(BIN)/golangci-lint-$(GOLANGCI_VERSION)

# Knobs, as in: make test MODULES="sqlitelock cmd/stile" RUN=TestAcquire
MODULES ?=
export MODULES
RUN ?=
TESTFLAGS ?=
TIMEOUT ?= 15m
DEADLINE ?= 50m
FUZZTIME ?= 10s
BENCH ?= .
BENCHTIME ?= 1s

.PHONY: help
help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "  Knobs: MODULES (folders; all that loops over modules), RUN, TESTFLAGS, TIMEOUT, DEADLINE (test), FUZZTIME (fuzz), BENCH, BENCHTIME (bench)"

.PHONY: need
need: ## Look for what is needed; on Debian, as root, install what is missing
	@scripts/need.sh

.PHONY: test
test: need ## Run the tests of all modules with the race detector
	@mkdir -p $(BIN)
	@go build -o $(BIN)/testsum ./tools/testsum
	@$(BIN)/testsum -timeout=$(TIMEOUT) -deadline=$(DEADLINE) -run="$(RUN)" -modules="$(MODULES)" -- $(TESTFLAGS)

.PHONY: check
check: need check-modules check-tidy check-alone check-generated lint check-deps check-consumer ## All checks but the tests
	@echo "stile: all checks passed"

.PHONY: check-modules
check-modules: ## Compare modules.txt with go.work and go.mod files, and look at what modules may require
	@go run ./tools/modcheck

.PHONY: check-tidy
check-tidy: ## go.mod and go.sum of each module hold what they should, no more and no less
	@scripts/each.sh env GOWORK=off go mod tidy -diff

.PHONY: check-alone
check-alone: ## Each module compiles outside the workspace, tests included, and go vet finds nothing
	@scripts/each.sh env GOWORK=off go vet ./...

.PHONY: check-generated
check-generated: ## Generated code is up to date
	@scripts/check-generated.sh

.PHONY: check-deps
check-deps: ## The root module imports the standard library alone
	@go test -count=1 ./internal/deptest

.PHONY: check-consumer
check-consumer: ## Programs outside the workspace that import one module only: they build, and get no other's modules
	@go run ./tools/consumer

.PHONY: graphs
graphs: ## Write down what such programs get; read the difference before you commit it
	@go run ./tools/consumer -update

.PHONY: lint
lint: $(GOLANGCI) ## Check format and lint
	@scripts/each.sh $(GOLANGCI) run --config $(CURDIR)/.golangci.yml ./...

.PHONY: fmt
fmt: $(GOLANGCI) ## Format the code and tidy the go.mod files
	@scripts/each.sh $(GOLANGCI) fmt --config $(CURDIR)/.golangci.yml
	@scripts/each.sh env GOWORK=off go mod tidy

.PHONY: build
build: ## Build everything; the command goes to .tmp/bin/stile
	@scripts/each.sh go build ./...
	@mkdir -p $(BIN)
	@go build -o $(BIN)/stile ./cmd/stile

.PHONY: cover
cover: need ## Print how much of the code the tests reach
	@scripts/cover.sh

.PHONY: fuzz
fuzz: ## Fuzz each fuzz target for FUZZTIME
	@scripts/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: ## Run the benchmarks that match BENCH, for BENCHTIME each
	@scripts/each.sh go test -run='^$$' -bench='$(BENCH)' -benchtime=$(BENCHTIME) -benchmem ./...

.PHONY: clean
clean: ## Remove what the Makefile made
	@rm -rf .tmp

$(GOLANGCI):
	@echo "stile: building golangci-lint $(GOLANGCI_VERSION), once; this takes some minutes"
	@mkdir -p $(BIN)
	@GOBIN="$(BIN)/new-$(GOLANGCI_VERSION)" GOWORK=off go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv "$(BIN)/new-$(GOLANGCI_VERSION)/golangci-lint" "$@"
	@rmdir "$(BIN)/new-$(GOLANGCI_VERSION)"
