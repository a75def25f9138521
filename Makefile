# The commands people type; CMake and Ninja do the work.
.PHONY: run parity test bench prove soak shrink-1000 setup build build-asan clean format
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

run: build
	build/quicrig run --require-coverage 100% scenarios/
	build/quicrig run --rig loopback scenarios/

# Do the rigs agree, row by row?
PARITY ?= scenarios/
parity: build
	build/quicrig run --parity loopback $(PARITY)

test: build-asan
	ctest --test-dir build-asan --output-on-failure -j2

# What a thousand devices on a lossy network find of a planted bug, made small.
shrink-1000: build
	build/quicrig shrink --plant slow-reply-strands scenarios/network.yaml:thousand-devices-lossy

# Does the library of scenarios catch planted bugs?
prove: build
	build/quicrig prove scenarios/

# What a nightly job calls, the library being its fixed list of regressions.
SOAK ?= --for 7d --devices 100 --seeds 100 --wall 8h
soak: build
	build/quicrig soak $(SOAK) scenarios/

bench: build
	build/quicrig-bench

build: setup
	@cmake --preset default >/dev/null
	@ninja -C build

build-asan: setup
	@cmake --preset asan >/dev/null
	@ninja -C build-asan

# Installs what is missing (Debian 12); silent where nothing is.
setup:
	@cmake/setup.sh $(SUDO)

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf build build-asan build-clang out
