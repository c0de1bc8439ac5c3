# What people start. `make help` lists it.

CARGO ?= cargo
FUZZ_SECONDS ?= 600

.PHONY: help setup demo test examples soak lint clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

setup: ## look for a Vulkan driver and install one where there is none
	@sh .ci/setup

demo: setup ## build, train the built-in demonstration, print its result
	$(CARGO) build --release --locked
	$(CARGO) run --release --locked --quiet -- demo

test: setup ## every test there is
	$(CARGO) test --locked

examples: setup ## fetch the data of the examples and train on each
	$(CARGO) build --release --locked
	sh examples/multimnist/run.sh
	sh examples/mnist-two-tasks/run.sh
	sh examples/energy/run.sh
	sh examples/census-income/run.sh
	sh examples/flights/run.sh

soak: ## fuzz each reader for FUZZ_SECONDS (needs nightly Rust and cargo-fuzz); what is found lies in fuzz/artifacts
	for target in text npy svmlight parquet; do \
	    mkdir -p fuzz/soak/$$target && \
	    $(CARGO) +nightly fuzz run $$target fuzz/soak/$$target fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=4096 || exit 1; \
	done

# Beside the fuzzers: tests that take too long for `make test`.
.PHONY: endurance
soak: endurance
endurance: setup ## 500 kills with what follows them, and 100,000 steps that are watched
	$(CARGO) test --locked --test kills --test soak -- --ignored --nocapture --test-threads=1

lint: ## formatting, clippy and the documentation, warnings being errors
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

clean: ## remove what was built; runs and fetched data stay
	$(CARGO) clean --locked
