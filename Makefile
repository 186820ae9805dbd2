# make build | demo | test: each installs what it needs, builds, and runs; a second run starts within seconds.
# TRAIN=OFF leaves libtorch and `eqo train` out.

TRAIN ?= ON
JOBS ?= $(shell nproc)
TEST_JOBS ?= $(shell nproc)
DEPS := build $(if $(filter ON,$(TRAIN)),train)

.PHONY: build test demo bench asan tsan fuzz lint format clean accuracy

build:
	@scripts/install-deps.sh $(DEPS) test
	@mkdir -p build
	@cmake --preset release -DEQO_TRAIN=$(TRAIN) > build/configure.log || { cat build/configure.log; exit 1; }
	@cmake --build --preset release -j $(JOBS)
	@ln -sf release/eqo/cli/eqo build/eqo

test: build
	@ctest --preset release -j $(TEST_JOBS)

demo: build
	@demo/run.sh

# Benchmarks of the kernels; figures are printed, nothing is judged.
bench:
	@scripts/install-deps.sh $(DEPS) test bench
	@cmake --preset bench -DEQO_TRAIN=OFF > /dev/null
	@cmake --build --preset bench -j $(JOBS)
	@scripts/run-benches.sh build/bench

# The whole suite under AddressSanitizer + UBSan, and under ThreadSanitizer.
asan tsan:
	@scripts/install-deps.sh build test
	@cmake --preset $@ > /dev/null
	@cmake --build --preset $@ -j $(JOBS)
	@ctest --preset $@ -j $(TEST_JOBS) --timeout 1800

# libFuzzer targets for every parser; SECONDS_EACH of fuzzing for each.
fuzz:
	@scripts/install-deps.sh build fuzz
	@cmake --preset fuzz > /dev/null
	@cmake --build --preset fuzz -j $(JOBS)
	@scripts/run-fuzzers.sh build/fuzz $(or $(SECONDS_EACH),60)

lint:
	@scripts/install-deps.sh $(DEPS) test lint
	@git ls-files '*.h' '*.cpp' | xargs clang-format --dry-run -Werror
	@cmake --preset release -DEQO_TRAIN=$(TRAIN) > /dev/null
	@git ls-files 'eqo/*.cpp' | grep -v _bench | xargs -P $(JOBS) -n 4 clang-tidy -p build/release --quiet

format:
	@git ls-files '*.h' '*.cpp' | xargs clang-format -i

clean:
	@rm -rf build
