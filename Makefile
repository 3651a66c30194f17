# make            builds build/release/plimsoll, installing what is missing
# make tuned      builds build/tuned/plimsoll, a little faster, from a record of the program's own run under load
# make demo       a leaking fleet behind Plimsoll: watch it detect, capture and recycle
# make test       builds, and passes all tests
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
PRESETS := release asan tsan dev
PYTHON := build/venvs/current/bin/python

.PHONY: build tuned demo test lint format packages test-packages venvs $(PRESETS) \
        test-asan test-tsan test-sim test-agent test-conformance test-e2e test-e2e-asan test-docker soak bench bench-overload bench-leaks conformance websockets cuts fuzz slow-attacks clean

packages:
	@cmake/install-packages.sh cmake/packages.txt
test-packages:
	@cmake/install-packages.sh cmake/packages.txt tests/packages.txt

build: release
$(PRESETS): packages
	@cmake --preset $@ >/dev/null
	@cmake --build --preset $@

venvs: test-packages
	@python3 tests/e2e/venvs.py current >/dev/null

# A few per cent to a tenth faster: built once more from what the first one's branches did under load (docs/data-path.md). A quarter of an hour.
tuned: packages
	@rm -rf build/tuned/profile
	@cmake --preset recording >/dev/null
	@cmake --build --preset recording
	@tests/bench/datapath/run.sh ratios --binary build/tuned/plimsoll --peers none --rounds 3 >/dev/null
	@test -n "$$(find build/tuned/profile -name '*.gcda' -print -quit)" || { echo "the load left no record in build/tuned/profile" >&2; exit 1; }
	@cmake --preset tuned >/dev/null
	@cmake --build --preset tuned

demo: build venvs
	@$(PYTHON) tests/demo/demo.py --binary build/release/plimsoll

# What needs no sanitizer runs on the program as it ships; what parses foreign bytes or has threads runs under both.
test: lint test-asan test-tsan test-sim test-agent test-conformance test-e2e test-e2e-asan

test-asan: test-packages asan
	@ctest --preset asan -j 4
test-tsan: test-packages
	@cmake --preset tsan >/dev/null
	@cmake --build --preset tsan --target threaded_tests
	@ctest --preset tsan -L net -j 4
# Over 10,000 seeds, and all of it; under a sanitizer a part. What only prints figures is built as well, or it would rot.
test-sim: build
	@cmake --build --preset release --target test_sim benches
	@build/release/test_sim --gtest_brief=1
test-agent: test-packages
	@python3 agent/tests/venvs.py >/dev/null
	@build/venvs/runner/bin/python -m pytest -n 4 agent/tests
test-conformance: build asan
	@python3 tests/conformance/run.py
	@PLIMSOLL_BINARY=build/asan/plimsoll python3 tests/conformance/run.py
test-e2e: build venvs
	@PLIMSOLL_BINARY=build/release/plimsoll $(PYTHON) -m pytest -n 3 --dist loadfile tests/e2e -m "not alone"
	@PLIMSOLL_BINARY=build/release/plimsoll $(PYTHON) -m pytest tests/e2e -m alone
test-e2e-asan: asan venvs
	@PLIMSOLL_BINARY=build/asan/plimsoll $(PYTHON) -m pytest -n 3 --dist loadfile tests/e2e -m asan

# The long forms, not part of `make test`. test-docker starts a Docker engine of its own, as root; it says why where none can run.
test-docker: build
	@cmake/install-packages.sh tests/docker/packages.txt
	@python3 tests/docker/run.py --binary build/release/plimsoll || [ $$? -eq 77 ]
soak: build venvs
	@PLIMSOLL_SOAK=1 PLIMSOLL_BINARY=build/release/plimsoll $(PYTHON) -m pytest tests/e2e
conformance: build
	@python3 tests/conformance/run.py --peers
websockets: build
	@python3 tests/websocket/run.py
# Every cut of every message at both ends, 1.5 million; `make test` tries one in a hundred.
cuts: test-packages build
	@cmake --build --preset release --target test_net
	@PLIMSOLL_EVERY_CUT=1 build/release/test_net --gtest_filter='Cut.*' --gtest_brief=1
# SECONDS for each target.
fuzz: packages
	@cmake/install-packages.sh tests/fuzz/packages.txt
	@cmake --preset fuzz >/dev/null
	@cmake --build --preset fuzz
	@tests/fuzz/run build/fuzz $(or $(SECONDS),600)
slow-attacks: build
	@python3 tests/attack/slow.py
bench: build
	@tests/bench/datapath/run.sh
bench-overload: build
	@tests/bench/overload/run.sh
# SEED draws the applications, COUNT says how many lives, RECYCLES how many captures; ONLY=model,lines,costs,captures,lives picks tables.
bench-leaks: build
	@python3 agent/tests/venvs.py frameworks >/dev/null
	@$(if $(findstring model,$(or $(ONLY),model)),cmake --build --preset release --target bench_leak_table >/dev/null && build/release/bench_leak_table $(or $(SEED),1) $(or $(LIVES),100))
	@build/venvs/frameworks/bin/python tests/bench/leaks/run.py --seed $(or $(SEED),1) --count $(or $(COUNT),20) --recycles $(or $(RECYCLES),60) --only $(or $(ONLY),lines,costs,captures,lives)

lint: test-packages asan-configured
	@tests/lint.sh
format:
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format -i
.PHONY: asan-configured
asan-configured: packages
	@cmake --preset asan >/dev/null

clean:
	rm -rf build
