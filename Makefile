# make build | demo | test: each installs what it needs, builds, and runs; a second run starts within seconds.
# TRAIN=OFF leaves libtorch and `eqo train` out.

TRAIN ?= ON
JOBS ?= $(shell nproc)
TEST_JOBS ?= $(shell nproc)
DEPS := build $(if $(filter ON,$(TRAIN)),train)

.PHONY: build test demo bench asan tsan sweep lint tidy format clean

build:
	@scripts/install-deps.sh $(DEPS) test
	@mkdir -p build
	@cmake --preset release -DEQO_TRAIN=$(TRAIN) > build/configure.log || { cat build/configure.log; exit 1; }
	@cmake --build --preset release -j $(JOBS)
	@ln -sf release/eqo/cli/eqo build/eqo

test: build
	@scripts/install-deps.sh browser || echo "No chromium: the test of the HTML reports is skipped." >&2
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

# 10^4 random networks: private == twin in every step, planned == counted.
sweep: build
	@build/release/eqo/runtime/runtime_tests --gtest_also_run_disabled_tests --gtest_filter='*Sweep*' --gtest_brief=1

# Formatting; clang-tidy's findings are `make tidy`.
lint:
	@scripts/install-deps.sh lint
	@git ls-files '*.h' '*.cpp' | xargs clang-format --dry-run -Werror

tidy: build
	@scripts/install-deps.sh lint
	@git ls-files 'eqo/*.cpp' | grep -v -e _bench -e _test | xargs -P $(JOBS) -n 4 clang-tidy -p build/release --quiet

format:
	@git ls-files '*.h' '*.cpp' | xargs clang-format -i

clean:
	@rm -rf build
