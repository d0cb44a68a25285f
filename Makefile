# What a newcomer types; the work is done by the scripts in tools/.
PREFIX = /usr/local
DESTDIR =
PORT = 8443
ARGS =

OUT = $(or $(CARGO_TARGET_DIR),target)/release
PROGRAMS = $(patsubst src/bin/%.rs,%,$(wildcard src/bin/*.rs))
SCRIPTS = $(wildcard scripts/*)
PAGES = $(wildcard man/*.[1-8])

.PHONY: help build run test bench fuzz install clean

help:
	@echo 'make run [PORT=8443]                build, and serve https://localhost:8443/ with a throw-away certificate'
	@echo 'make test                           check everything'
	@echo 'make fuzz [ARGS=]                   feed every parser with odd bytes, a minute each; ARGS: seconds, names of targets'
	@echo 'make bench                          measure all that follows, and write tables and charts into docs/performance.md'
	@echo 'make bench ARGS=peers               measure sslserver against stunnel, socat and tcpserver; ARGS="peers --help" for more'
	@echo 'make bench ARGS=proxies             measure stud against haproxy, nginx, hitch and stunnel'
	@echo 'make bench ARGS=routers             measure sniproxy against haproxy, nginx and the sniproxy of Debian'
	@echo 'make build                          build in release mode'
	@echo 'make install [PREFIX=] [DESTDIR=]   programs and manual pages, below /usr/local if not told otherwise'
	@echo 'make clean                          remove what was built'

build:
	@tools/packages base build
	@tools/cargo build --release --locked

run:
	@tools/demo check '$(PORT)'
	@tools/packages base build run
	@tools/cargo build --release --locked
	@exec tools/demo serve '$(PORT)' '$(OUT)'

test:
	@tools/packages base build test
	@tools/test

bench:
	@tools/packages base build bench
	@exec benches/run $(ARGS)

fuzz:
	@tools/packages base build fuzz
	@exec tools/fuzz $(ARGS)

# Under sudo there is often no cargo: what was built before is installed then.
install:
	@if tools/cargo --version >/dev/null 2>&1 || [ ! -x '$(OUT)/sslserver' ]; then $(MAKE) --no-print-directory build; fi
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 755 $(PROGRAMS:%='$(OUT)/%') $(SCRIPTS) '$(DESTDIR)$(PREFIX)/bin'
	@set -e; for page in $(PAGES); do \
	    echo "install -D -m 644 $$page '$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}'"; \
	    install -D -m 644 "$$page" '$(DESTDIR)$(PREFIX)/share/man/man'"$${page##*.}/$${page##*/}"; \
	done

clean:
	@tools/cargo clean
	rm -rf run fuzz/target fuzz/corpus fuzz/artifacts
