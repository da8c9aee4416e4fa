# The front door. `make help` lists what there is; the build itself is meson.build.

PREFIX ?= /usr/local
SOAK_SECONDS ?= 3600
export PREFIX

.DEFAULT_GOAL := build
.PHONY: build check check-all demo soak conform conformance baseline compare bench fmt install uninstall clean help deps oracle oracle-probes oracle-scripts oracle-writes

build: deps ## build/neap and the library (gcc -O2)
	@tools/build release

check: deps ## format, layers, shape, unit tests, examples, jobs; under 90 s
	@tools/run-tests check

check-all: deps ## what check leaves out: clang, sanitizers, analyser, seeds, fuzzing
	@tools/run-tests check-all

demo: build ## a real program's trace in a quarter of its memory, live and simulated
	@tools/demo

# Recorded jobs: the whole corpus if NEAP_GOLDEN_DIR names it or it lies beside, or the sample.
CORPUS := $(firstword $(wildcard $(addsuffix /dynamic,$(or $(NEAP_GOLDEN_DIR),golden ../golden ../*/golden))))
RECORDED ?= $(or $(CORPUS),tests/golden/dynamic)

conform: build ## our counters beside a real kernel's, job by job (RECORDED=DIR)
	@build/neap conform $(RECORDED)

conformance: build ## docs/conformance.md from the recorded jobs (DATE=YYYY-MM-DD)
	@build/neap conform --document "$(or $(DATE),$(shell date +%F))" $(RECORDED) > build/conformance.md
	@mv build/conformance.md docs/conformance.md

baseline: build ## keep our counters as they are now, for make compare
	@build/neap conform --brief --save build/baseline $(RECORDED)

compare: build ## what an edit of the engine did: before (make baseline), after, the kernel's
	@[ -e build/baseline ] || { echo "make baseline first, before the edit"; exit 2; }
	@build/neap conform --brief --compare build/baseline $(RECORDED)

ORACLE_JOBS ?= jobs/oracle/*.job
oracle: build ## records jobs/oracle on a real 6.1 kernel in QEMU (apt, root or sudo), and compares
	@tools/oracle/prepare
	@tools/oracle/record job $(ORACLE_JOBS)
	@build/neap conform $(patsubst %.job,build-oracle/recorded/%,$(notdir $(wildcard $(ORACLE_JOBS))))

ORACLE_SEED ?= 1
oracle-probes: build ## records allocations with all CPUs held (ORACLE_SEED=N), and compares frame by frame
	@tools/oracle/prepare probes
	@tools/oracle/make-probes build-oracle/scripts $(ORACLE_SEED)
	@tools/oracle/record probe build-oracle/scripts/*.probe
	@build/neap probe build-oracle/recorded/probes/*

oracle-scripts: build ## records kernel log reports and hot-plugging; some minutes
	@tools/oracle/prepare probes
	@tools/oracle/record script tools/oracle/scripts/*/*.sh
	@for text in build-oracle/recorded/reports/*/*.txt; do echo "$$text"; build/neap decode $$text; done

ORACLE_MACHINE ?= nodes=256M cpus=1
oracle-writes: build ## records what writes to /proc/sys/vm do, and compares (ORACLE_MACHINE='nodes=...')
	@tools/oracle/prepare
	@tools/oracle/record writes '$(ORACLE_MACHINE)'
	@build/neap sysctl --like build-oracle/recorded/writes0/00-boot --batch tools/oracle/writes.txt |\
		diff - build-oracle/recorded/writes0/sysctl_writes.tsv && echo "the same line by line"

bench: build ## what the speed aims are measured with
	@build/neap bench

soak: build ## seeds, random jobs, failures, planted bugs, compaction, the stress program, for SOAK_SECONDS (3600)
	@tools/check-seeds --seconds $$(($(SOAK_SECONDS) / 4)) --from $$(date +%s)
	@tools/build check && tools/check-random --seconds $$(($(SOAK_SECONDS) / 8)) --from $$(date +%s)
	@tools/check-failures
	@tools/check-planted --seconds $$(($(SOAK_SECONDS) / 12))
	@tools/build clang && build-clang/tests/stress/stress --heal --seed $$(date +%s) --seconds 60
	@tools/build check && build-check/tests/stress/stress --sim --compact --seed $$(date +%s) \
		--seconds $$(($(SOAK_SECONDS) / 30))
	@if [ -x tools/stress ]; then \
		tools/build tsan && tools/stress build-tsan $$(($(SOAK_SECONDS) / 4)) && \
		tools/check-random --live --neap build-tsan/neap --from $$(date +%s) \
			--seconds $$(($(SOAK_SECONDS) / 12)); \
	fi
	@tools/check-four-times --seconds $$(($(SOAK_SECONDS) / 6))

fmt: deps ## format every C file
	@tools/check-format --fix

install: build ## into PREFIX (/usr/local), below DESTDIR if set
	@meson install -C build --no-rebuild

uninstall: ## remove what install put there
	@ninja -C build uninstall

clean: ## remove every build directory
	rm -rf build build-*

deps: ## install what is missing (tools/install-deps)
	@tools/install-deps --check 2>/dev/null || tools/install-deps

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "one build directory: tools/build KIND; one suite: tools/run-tests check SUITE"
