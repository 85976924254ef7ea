# `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help build test test-all test-dashboard fuzz format api-breakage bench bench-failover bench-json bench-redis endurance mutants simulate simulate-election demo docs run clean

# Where the project is checked, warnings are errors; where it is used, they are not.
STRICT := PARALLAX_STRICT=1

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build everything, debug, warnings are errors
	$(STRICT) swift build

test: ## What CI runs: tools, format, floors, alerts, model, build, all suites; then a summary
	@Scripts/test.sh

test-all: ## The same, the suites under the thread sanitizer, and fuzzing
	@Scripts/test.sh all

fuzz: ## Fuzz the Redis decoder: libFuzzer, then against hiredis; ARGS="SECONDS" for each
	@Scripts/fuzz.sh $(ARGS)

format: ## Format the sources in place
	swift format --in-place --parallel --recursive Package.swift Sources Plugins Tests Benchmarks/Package.swift Benchmarks/Sources \
	  Examples/Package.swift Examples/Sources Examples/Tests Oracle/Package.swift Oracle/Sources

api-breakage: ## Compare the libraries with the last release; about half an hour
	@Scripts/api-breakage.sh $(ARGS)

test-dashboard: ## The dashboard in a headless Chromium, in each of its states; ARGS="FOLDER_OF_EXECUTABLES FOLDER_FOR_PICTURES"
	@Scripts/test-dashboard.sh $(ARGS)

bench: ## Executions per second, embedded and on Redis, and where the time goes
	swift build -c release --product parallaxd
	swift run -c release --package-path Benchmarks executions-bench $(ARGS)

endurance: ## A million commands while Redis fails over and slots move; about five minutes
	$(STRICT) swift build --build-tests
	PARALLAX_ENDURANCE_COMMANDS=500000 swift test --skip-build --disable-xctest --filter EnduranceTests

mutants: ## Plant known slips, and see each caught by its suites; ARGS="NAME…" for some, ARGS=--list
	@Scripts/mutants.py $(ARGS)

bench-failover: ## How long a cluster is without a leader; about ten minutes
	swift build -c release --product parallaxd
	swift build -c release --product parallax-witness
	python3 Benchmarks/failover.py "$$(swift build -c release --show-bin-path)" $(ARGS)

bench-json: ## Reading JSON: depth, size and number against time, beside Foundation and Python
	python3 Benchmarks/json-reader.py

bench-redis: ## The Redis client and its decoder against hiredis, and what a command allocates
	swift run -c release --package-path Benchmarks resp-bench
	swift run -c release --package-path Benchmarks redis-bench $(ARGS)

simulate: ## Simulate executions in release; ARGS="SECONDS SEED MIX", ARGS=scenarios, ARGS="shrink SEED MIX"
	swift run -c release execution-simulation $(ARGS)

simulate-election: ## Simulate elections in release; ARGS="SECONDS SEED MIX"
	swift run -c release election-simulation $(ARGS)

demo: ## A cluster to watch: three nodes, agents, a load, and a leader that is killed
	@Scripts/install-test-tools.sh
	swift build -c release --product parallaxd
	swift build -c release --product parallax
	@.build/test-venv/bin/python Scripts/demo.py "$$(swift build -c release --show-bin-path)"

docs: ## Build the documentation of the libraries into .build/docs
	Scripts/build-docs.sh

run: ## Run a node with the in-memory store on 127.0.0.1:8080
	swift run -c release parallaxd $(ARGS)

clean: ## Remove everything that was built
	rm -rf .build Benchmarks/.build Oracle/.build
