# make demo and make test do everything on a fresh machine: they find or start real servers by themselves.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
LINT_VERSION := v2.15.0
LINT := .bin/golangci-lint-$(LINT_VERSION)
FUZZTIME ?= 5m
SOAKS ?= 20
SOAKTIME ?= 10m

.PHONY: demo test lint bench soak clean clean-images docker

demo: docker ## the three stories on real servers, in a minute
	@cd examples && go run ./quickstart

# Four packages at a time: they mostly wait for servers.
test: docker ## all tests, on real servers
	go test -race -p 4 -timeout 25m ./...
	cd examples && go test -race -timeout 5m ./...

lint: $(LINT) ## vet, staticcheck and the house's own rules
	$(LINT) run ./...
	cd examples && ../$(LINT) run ./...

bench: docker ## one line per benchmark, ours beside floor and peer, measured in the same run
	@go test -run '^$$' -bench . -benchtime 1x -p 1 -timeout 60m ./... >bench.txt 2>&1 || { cat bench.txt; exit 1; }
	@grep '^BENCH ' bench.txt

soak: docker ## the long fault runs: fault tests over and over, and the fuzzers
	go test -race -timeout 90m -count $(SOAKS) -skip '^TestSoak' -run 'Transient|SIGKILL|Kill|Cancel|Midway|Hang|Disguise|Interrupt|Restart|LeftBehind|NeverStops' \
		./consistency ./explainguard ./redismigrate ./internal/servers
	TASHIKAME_SOAK=$(SOAKTIME) go test -v -timeout 120m -run '^TestSoak' ./consistency ./redismigrate
	go test -run '^$$' -fuzz '^FuzzParse$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./explainguard
	go test -run '^$$' -fuzz '^FuzzFingerprint$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./explainguard
	go test -run '^$$' -fuzz '^FuzzConditionText$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./explainguard
	go test -run '^$$' -fuzz '^FuzzQuickReader$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./explainguard
	go test -run '^$$' -fuzz '^FuzzVetSQL$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./consistency
	go test -run '^$$' -fuzz '^FuzzAdvance$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./consistency
	go test -run '^$$' -fuzz '^FuzzCheckFile$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./consistency
	go test -run '^$$' -fuzz '^FuzzCompare$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./consistency
	go test -run '^$$' -fuzz '^FuzzKeyNeverCollides$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./consistency
	go test -run '^$$' -fuzz '^FuzzFilter$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./redismigrate/internal/rdb

clean: ## what the targets above have left: tools, results, containers of killed runs
	rm -rf .bin bench.txt
	@docker ps -aq --filter label=io.github.tashikame.session 2>/dev/null | xargs -r docker rm -fv >/dev/null

clean-images: ## the locally built server images
	@docker images -q 'tashikame-local/*' 2>/dev/null | sort -u | xargs -r docker image rm -f

docker:
	@internal/servers/docker.sh

# From source, so that it is built by the Go that it has to understand.
$(LINT):
	GOFLAGS= GOBIN=$(CURDIR)/.bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv .bin/golangci-lint $@
