# The commands of this repository; `make help` lists them.

CARGO ?= cargo
FUZZ_SECONDS ?= 3600
FUZZ_TARGETS ?= text npy svmlight conll parquet idx image model manifest config

.PHONY: help setup demo test browser mpi ranks page isa conformance examples soak
.PHONY: dist wheel lint deny audit clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

setup: ## look for a Vulkan driver and install one if there is none
	@sh .ci/setup

demo: setup ## build, train the built-in demonstration, print its result
	$(CARGO) build --release --locked
	$(CARGO) run --release --locked --quiet -- demo

test: setup browser ## run every test
	$(CARGO) test --locked

browser: ## look for a browser that a test opens pages in; on Debian install one
	@sh .ci/browser

mpi: setup ## install Debian's Open MPI where there is none, and build with it in target/mpi
	@sh .ci/mpi
	$(CARGO) build --release --locked --features mpi --target-dir target/mpi

ranks: setup ## run the tests of several processes, which need MPI
	@sh .ci/mpi
	$(CARGO) clippy --locked --features mpi --lib --bins --test mpi -- -D warnings
	$(CARGO) test --locked --features mpi --test mpi

page: setup browser ## open the pages of runs in a browser; pictures are left in target/page
	TANDEM_PAGES=target/page $(CARGO) test --locked --test browser -- --nocapture

isa: setup ## what AMD's compiler makes of the kernels: registers, spills, loops; needs no GPU
	$(CARGO) test --locked --test isa -- --nocapture

conformance: setup ## doctor and a short training on SwiftShader, and on the files in DRIVERS
	sh .ci/conformance

examples: setup ## fetch the data of the examples and train on each
	$(CARGO) build --release --locked
	sh examples/multimnist/run.sh
	sh examples/mnist-two-tasks/run.sh
	sh examples/mnist-files/run.sh
	sh examples/energy/run.sh
	sh examples/census-income/run.sh
	sh examples/census-income/architectures.sh
	sh examples/flights/run.sh
	sh examples/atis/run.sh
	sh examples/hebrew/run.sh

# Needs nightly Rust and cargo-fuzz. Inputs that fail are written to fuzz/artifacts.
soak: ## fuzz every reader for FUZZ_SECONDS, and run the tests that take too long
	for target in $(FUZZ_TARGETS); do \
	    mkdir -p fuzz/soak/$$target && \
	    $(CARGO) +nightly fuzz run --sanitizer none \
	        $$target fuzz/soak/$$target fuzz/corpus/$$target -- \
	        -max_total_time=$(FUZZ_SECONDS) -timeout=10 -report_slow_units=1 \
	        -rss_limit_mb=512 || exit 1; \
	done

# Tests that take too long for `make test`, or that measure time.
.PHONY: endurance
soak: endurance
endurance: setup ## kill 500 runs and go on with each, watch 100,000 steps, time the start-up
	$(CARGO) test --locked --test endurance -- --ignored --nocapture --test-threads=1

dist: ## pack the program, completions, pages of the manual and licences into target/dist
	sh .ci/dist

wheel: ## build the package for pip in target/wheel; installs maturin there
	sh .ci/wheel

lint: deny ## check formatting, clippy and documentation, warnings are errors; and deny
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

deny: ## check licences, sources and bans of all packages; installs cargo-deny if missing
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --locked check licenses bans sources

audit: ## deny with the advisories too, whose database it fetches
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --locked check

clean: ## remove what was built, but not runs or fetched data
	$(CARGO) clean --locked
