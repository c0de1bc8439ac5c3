# What people start. `make help` lists it.

CARGO ?= cargo
FUZZ_SECONDS ?= 3600
FUZZ_TARGETS ?= text npy svmlight parquet idx model manifest config

.PHONY: help setup demo test examples soak lint deny audit clean

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

soak: ## fuzz all that reads, FUZZ_SECONDS a target (needs nightly Rust and cargo-fuzz); what is found lies in fuzz/artifacts
	for target in $(FUZZ_TARGETS); do \
	    mkdir -p fuzz/soak/$$target && \
	    $(CARGO) +nightly fuzz run --sanitizer none $$target fuzz/soak/$$target fuzz/corpus/$$target -- \
	        -max_total_time=$(FUZZ_SECONDS) -timeout=10 -report_slow_units=1 -rss_limit_mb=512 || exit 1; \
	done

# Beside the fuzzers: tests that take too long for `make test`.
.PHONY: endurance
soak: endurance
endurance: setup ## 500 kills with what follows them, and 100,000 steps that are watched
	$(CARGO) test --locked --test endurance -- --ignored --nocapture --test-threads=1

lint: deny ## formatting, clippy and the documentation, warnings being errors; and deny
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

deny: ## licences, sources and bans of all that the program is built of, as deny.toml says; installs cargo-deny where it is missing
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --locked check licenses bans sources

audit: ## the same with the advisories, whose database is fetched
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --locked check

clean: ## remove what was built; runs and fetched data stay
	$(CARGO) clean --locked
