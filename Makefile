# The commands of this project. `make` alone lists them.
.PHONY: help build demo test lint peers torture bench deny dist
CARGO ?= cargo

help: ## List the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## Build the binary at target/release/millstream
	$(CARGO) build --release --locked -p millstream

demo: build ## Build and run a whole simulated plant; Ctrl-C ends it
	target/release/millstream demo

test: peers lint ## Build and pass every test, against real peers (about 20 minutes on two cores, cold)
	tests/run.sh

lint: ## Format and lints, as CI has them
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

peers: ## Fetch the software that the tests run against (Python packages, Apache Kafka, Java clients, kcat)
	@tests/peers.sh

torture: peers ## The crash, power-loss and fault tests in full (hours)
	MILLSTREAM_TORTURE_ROUNDS=5000 MILLSTREAM_KILL_ROUNDS=100 tests/run.sh

bench: build peers ## Compare with what people use today; prints ratios
	bench/run.sh

deny: ## Check licences, sources and bans of all dependencies (needs cargo-deny)
	$(CARGO) deny check licenses bans sources

dist: ## The small binary for shipping, at target/dist/millstream
	$(CARGO) build --profile dist --locked -p millstream
