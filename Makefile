# SPDX-License-Identifier: BSD-2-Clause
#
# make                 build/repolock and build/repolock-native
# make demo            the main job on real repositories, in front of your eyes
# make check           the tests; T=word only those whose name has it
# make quick           the Check suites alone, in about a minute
# make check-all       the same again with what finds more: sanitizers, clang,
#                      valgrind, fuzz corpora, lint
# make install         DESTDIR= prefix= as usual; install-strip, uninstall;
#                      systemdsystemunitdir= takes the units
# make lint format     what a reviewer would rather not have to say
# make torture         kills and stops at random beside an independent record:
#                      T=place, SECONDS=30 for each, SEED=, HOLDERS= to measure
#                      how much in time a lost lock's command is dead
# make bench           against flock(1) and its kin; QUICK=1 in a minute
# make coverage fuzz stats compile_commands.json clean
#
# VARIANT=asan|tsan|cov builds a variant, CC=clang another compiler, STATIC=no a
# repolock that loads its libraries. Objects of these never mix: each has a
# folder of its own below build/. build/repolock itself is always the plain
# variant. WITH_NATIVE=no leaves out repolock-native, for restic: and borg:,
# and with it every library but jansson.
#
# CPPFLAGS, CFLAGS, LDFLAGS and LDLIBS are the caller's: they come behind our
# own, and so win. WERROR=-Werror makes warnings fatal, as they are where CI is
# set.

VERSION := $(file <VERSION)
ifeq ($(VERSION),)
$(error no file VERSION, or nothing in it: this is no complete source tree)
endif
ifeq ($(origin CC),default)
CC := gcc
endif
PKG_CONFIG ?= pkg-config
CLANG ?= clang
prefix ?= /usr/local
bindir ?= $(prefix)/bin
libexecdir ?= $(prefix)/lib/repolock
mandir ?= $(prefix)/share/man
docdir ?= $(prefix)/share/doc/repolock
bashcompdir ?= $(prefix)/share/bash-completion/completions
zshcompdir ?= $(prefix)/share/zsh/site-functions
fishcompdir ?= $(prefix)/share/fish/vendor_completions.d
# Units go there, and name $(bindir); otherwise they are examples.
systemdsystemunitdir ?=
INSTALL ?= install
WERROR ?= $(if $(CI),-Werror)
VARIANT ?= plain
STATIC ?= yes
WITH_NATIVE ?= yes
T ?=
V ?= 0

OPT_plain := -O2
OPT_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
OPT_tsan := -O1 -fsanitize=thread -fno-omit-frame-pointer
OPT_cov := -O0 --coverage
OPT_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all -fno-omit-frame-pointer
# What this compiler has for this machine. Level 3 of _FORTIFY_SOURCE is only
# there with the builtin that it is made of.
accepted = $(foreach f,$1,$(shell $(CC) -Werror $f -x c -fsyntax-only \
	/dev/null 2>/dev/null && echo $f))
FORTIFY := $(shell echo \
	'unsigned long f(void *p) { return __builtin_dynamic_object_size(p, 0); }' | \
	$(CC) -Werror -x c -fsyntax-only - 2>/dev/null && echo 3 || echo 2)
# Not beside another level, nor where it would only complain.
HARDENING_plain := $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS))$(filter -O0,$(CFLAGS)),,$\
	-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(FORTIFY))
HARDENING := $(HARDENING_$(VARIANT)) -fstack-protector-strong \
	$(call accepted,-fcf-protection=full -fstack-clash-protection)
ifeq ($(OPT_$(VARIANT)),)
$(error VARIANT=$(VARIANT): there are plain, asan, tsan, cov and fuzz)
endif

CFLAGS ?= -g
quoted = '$(subst ','\'',$(1))'
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wwrite-strings -Wvla \
	-Wformat=2 -Wconversion -Wundef -Wcast-qual -Wpointer-arith \
	-Wnull-dereference -Wimplicit-fallthrough $(WERROR)
OWN_CPPFLAGS := -D_GNU_SOURCE -Isrc
# The same objects wherever the tree is.
OWN_CFLAGS := -std=c17 $(OPT_$(VARIANT)) $(HARDENING) -fPIE $(WARNINGS) \
	-ffile-prefix-map=$(call quoted,$(CURDIR))=.
OWN_LDFLAGS := -pthread $(OPT_$(VARIANT)) -Wl,-z,relro,-z,now -Wl,--as-needed
COMPILE = $(CC) $(OWN_CPPFLAGS) $(OWN_CFLAGS) $(PKG_CFLAGS) $(CPPFLAGS) $(CFLAGS)
LINK = $(CC) -pie $(OWN_LDFLAGS) $(CFLAGS) $(LDFLAGS)
LINK_STATIC = $(CC) -static-pie $(OWN_LDFLAGS) $(CFLAGS) $(LDFLAGS)

# The loader would cost more than all the rest of a start. Sanitizers, gcov and
# valgrind need it.
ifneq ($(VARIANT),plain)
override STATIC := no
endif

# Only repolock-native is linked with these.
NATIVE_PKGS := $(if $(filter-out no,$(WITH_NATIVE)),libcrypto libsodium libzstd uuid)
PKGS := jansson $(NATIVE_PKGS)
DEBIAN_jansson := libjansson-dev
DEBIAN_libcrypto := libssl-dev
DEBIAN_libsodium := libsodium-dev
DEBIAN_libzstd := libzstd-dev
DEBIAN_uuid := uuid-dev
DEBIAN_check := check

NATIVE_SOURCES := $(wildcard src/lock/restic*.c src/lock/borg*.c \
	src/util/hash.c src/net/*.c)
NATIVE_TESTS := $(wildcard tests/check_restic*.c tests/check_borg*.c \
	tests/restic*.c tests/borg*.c tests/fuzz/restic*.c tests/fuzz/borg*.c)
built = $(if $(filter no,$(WITH_NATIVE)),$(filter-out $(NATIVE_SOURCES) $(NATIVE_TESTS),$1),$1)
SOURCES := $(call built,$(wildcard src/*.c src/*/*.c))
HEADERS := $(wildcard src/*/*.h tests/*.h tests/*/*.h)
CHECK_SOURCES := $(call built,$(wildcard tests/check_*.c))
SUPPORT_SOURCES := $(filter-out tests/check_%,$(call built,$(wildcard tests/*.c)))
# poorfs needs fuse3; tests that use it are skipped without.
HELPER_SOURCES := $(filter-out $(if $(shell $(PKG_CONFIG) --exists fuse3 2>&1 \
	&& echo 1),,tests/lib/poorfs.c),$(wildcard tests/lib/*.c tests/bench/*.c \
	tests/torture/*.c))
FUZZ_SOURCES := $(call built,$(wildcard tests/fuzz/*.c))
C_FILES := $(SOURCES) $(HEADERS) $(CHECK_SOURCES) $(SUPPORT_SOURCES) \
	$(HELPER_SOURCES) $(FUZZ_SOURCES)
SCRIPTS := $(shell grep -lsE '^\#!.*[/ ](ba|da)?sh$$' .ci/* contrib/* \
	contrib/*/* tests/* tests/*/*) $(wildcard tests/*.bats tests/lib/*.bash)

B := build/$(if $(filter plain-no,$(VARIANT)-$(STATIC)),dynamic,$(VARIANT))-$(notdir $(firstword $(CC)))
CORE_OBJECTS := $(patsubst %.c,$B/%.o,$(filter-out $(NATIVE_SOURCES),$(SOURCES)))
OBJECTS := $(SOURCES:%.c=$B/%.o)
LIB_OBJECTS := $(filter-out $B/src/main.o,$(OBJECTS))
SUPPORT_OBJECTS := $(SUPPORT_SOURCES:%.c=$B/%.o)
CHECKS := $(CHECK_SOURCES:tests/%.c=$B/%)
# Small programs that tests and benchmarks run, each of one file.
HELPERS := $(HELPER_SOURCES:tests/%.c=$B/%)
FUZZERS := $(FUZZ_SOURCES:tests/fuzz/%.c=$B/fuzz_%)

# Asked once, and only when something is compiled.
once = $(eval $1 := $(shell $2))$($1)
PKG_CFLAGS = $(call once,PKG_CFLAGS,$(PKG_CONFIG) --cflags $(PKGS))
CORE_LIBS = $(call once,CORE_LIBS,$(PKG_CONFIG) $(if $(filter no,$(STATIC)),,--static) --libs jansson)
NATIVE_LIBS = $(call once,NATIVE_LIBS,$(PKG_CONFIG) --libs $(PKGS))
CHECK_CFLAGS = $(call once,CHECK_CFLAGS,$(PKG_CONFIG) --cflags check)
CHECK_LIBS = $(call once,CHECK_LIBS,$(PKG_CONFIG) --libs check)

Q_0 := @
Q := $(Q_$(V))
say_0 = @echo '  $(1)  $(2)';
say = $(say_$(V))

.DELETE_ON_ERROR:
.PHONY: all checks helpers fuzzers clean FORCE have-build have-check
PROGRAMS := repolock $(if $(filter no,$(WITH_NATIVE)),,repolock-native)
ifeq ($(VARIANT),plain)
all: $(PROGRAMS:%=build/%)
else
all: $(PROGRAMS:%=$B/%)
endif

# Where everybody looks. Compared, not dated: another compiler's program may
# have been put here since. Renamed into place, so that one running is safe.
build/repolock build/repolock-native: build/%: $B/% FORCE
	@cmp -s $< $@ || { cp $< $@.new && mv -f $@.new $@; }

$B/repolock: $(CORE_OBJECTS) $B/linked
	$(call say,LD,$@)
ifeq ($(STATIC),no)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(CORE_LIBS) $(LDLIBS)
else
	$(Q)$(LINK_STATIC) -o $@ $(filter %.o,$^) $(CORE_LIBS) $(LDLIBS) || { echo >&2 \
	  "repolock: for a static program the static libraries of libc and jansson are needed; without them say STATIC=no"; \
	  exit 1; }
endif
$B/repolock-native: $(OBJECTS) $B/linked
	$(call say,LD,$@)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(NATIVE_LIBS) $(LDLIBS)

$B/src/%.o: src/%.c $B/flags | have-build
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(NAMES) -MMD -MP -c -o $@ $<

# A changed flag makes new objects, or links them anew; another prefix or
# version makes new those objects alone that hold it.
NAMES_ALL := -DREPOLOCK_VERSION='"$(VERSION)"' \
	-DREPOLOCK_LIBEXECDIR='"$(libexecdir)"'
NAMING := $(patsubst %.c,$B/%.o,$(shell grep -lE \
	'REPOLOCK_(VERSION|LIBEXECDIR)' $(SOURCES)))
$(NAMING): private NAMES := $(NAMES_ALL)
$(NAMING): $B/names
$B/flags: private SAID = $(CC) $(OWN_CPPFLAGS) $(OWN_CFLAGS) $(CPPFLAGS) $(CFLAGS)
$B/names: private SAID = $(NAMES_ALL)
$B/linked: private SAID = $(LINK) $(LDLIBS) $(WITH_NATIVE)
$B/flags $B/names $B/linked: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(call quoted,$(SAID)) >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

have-build:
	@command -v $(firstword $(CC)) >/dev/null || { echo >&2 \
	  "repolock: no compiler '$(CC)': install the Debian package gcc or clang, or say CC="; \
	  exit 1; }
	@command -v $(PKG_CONFIG) >/dev/null || { echo >&2 \
	  "repolock: no pkg-config: install the Debian package pkg-config"; exit 1; }
	@$(foreach p,$(PKGS),$(PKG_CONFIG) --exists $p || { echo >&2 \
	  "repolock: pkg-config finds no $p: install the Debian package $(DEBIAN_$p), or run contrib/deps build"; exit 1; };)
have-check: have-build
	@$(PKG_CONFIG) --exists check || { echo >&2 \
	  "repolock: pkg-config finds no check: install the Debian package check, or run contrib/deps check"; exit 1; }

clean:
	rm -rf build compile_commands.json

# --- tests ---

# check.h is not pedantic, and its macros convert freely.
TEST_CFLAGS = -Itests -Wno-pedantic -Wno-conversion $(CHECK_CFLAGS)

checks: $(CHECKS)
helpers: $(HELPERS)
$(CHECKS): $B/%: $B/tests/%.o $(SUPPORT_OBJECTS) $(LIB_OBJECTS) $B/linked
	$(call say,LD,$@)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(NATIVE_LIBS) $(CHECK_LIBS) $(LDLIBS)
# The explorer drives the lease by a clock and by dice of its own.
$B/check_lease_explore: OWN_LDFLAGS += -Wl,--wrap=boot_now \
	-Wl,--wrap=call_pause -Wl,--wrap=call_wait -Wl,--wrap=random_span \
	-Wl,--wrap=uuid_make
$B/tests/%.o: tests/%.c $B/flags | have-check
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(TEST_CFLAGS) \
		-MMD -MP -c -o $@ $<
$(HELPERS): $B/%: tests/%.c $B/flags $B/linked
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -pie $(OWN_LDFLAGS) $(LDFLAGS) -MMD -MP -MF $@.d -o $@ $< \
		$(HELPER_FLAGS)
FUSE_FLAGS = $(subst -I,-isystem ,$(call once,FUSE_LIBS,$(PKG_CONFIG) --cflags --libs fuse3))
$B/lib/poorfs: HELPER_FLAGS = $(FUSE_FLAGS)

-include $(wildcard $B/*/*.d $B/*/*/*.d)

# What is missing is installed first, so the rest is a make of its own.
MAKE_AGAIN = +$(Q)$(MAKE) --no-print-directory

.PHONY: check quick check-all demo bench torture
check: PART := $(if $(filter plain-no,$(VARIANT)-$(STATIC)),dynamic,$(VARIANT))
check:
	@contrib/deps check
	@CC=$(call quoted,$(CC)) tests/run -p $(PART) $(T)
quick:
	@CC=$(call quoted,$(CC)) tests/run -p quick $(T)
check-all:
	@contrib/deps check-all
	@tests/run -p all $(T)
demo:
	@contrib/deps demo
	$(MAKE_AGAIN) all
	@tests/demo
torture:
	@contrib/deps check
	$(MAKE_AGAIN) all helpers
	@BUILD=$B tests/torture/run -t $(or $(SECONDS),30) $(if $(SEED),-s $(SEED)) \
	  $(if $(HOLDERS),-k $(HOLDERS)) $(T)
bench:
	@contrib/deps bench
	$(MAKE_AGAIN) all $(filter $B/bench/%,$(HELPERS))
	@BUILD=$B tests/bench/run $(if $(QUICK),--quick) $(T)

# Fuzz targets are clang's; FUZZ_TIME is seconds for each.
FUZZ_TIME ?= 60
.PHONY: fuzz fuzz-programs
fuzzers:
	$(MAKE_AGAIN) VARIANT=fuzz CC=$(CLANG) fuzz-programs
fuzz-programs: $(FUZZERS)
$(FUZZERS): $B/fuzz_%: $B/tests/fuzz/%.o $(LIB_OBJECTS) $B/linked
	$(call say,LD,$@)
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(NATIVE_LIBS) $(LDLIBS)
fuzz: fuzzers
	@for c in $(FUZZ_SOURCES:tests/fuzz/%.c=%); do echo "fuzzing $$c"; \
	  mkdir -p build/corpus/$$c && \
	  build/fuzz-$(notdir $(CLANG))/fuzz_$$c -max_total_time=$(FUZZ_TIME) \
	    -artifact_prefix=build/corpus/$$c. -print_final_stats=1 build/corpus/$$c tests/fuzz/corpus/$$c \
	    2>build/corpus/$$c.log || { tail -n 40 build/corpus/$$c.log; exit 1; }; \
	  tail -n 8 build/corpus/$$c.log | grep -E 'execs|units_added'; done

# Lines that the tests reach. Processes that end by _exit write no record, so
# front, keeper and command of with-lock show less than what is tested.
coverage:
	@contrib/deps check-all
	@tests/run -p cov $(T) || echo 'some tests failed; the rest counts' >&2
	@lcov -q -c -d build/cov-gcc -b . --no-external -o build/coverage.info
	@lcov -q -r build/coverage.info '*/tests/*' -o build/coverage.info
	@genhtml -q -o build/coverage build/coverage.info
	@lcov --list build/coverage.info; echo build/coverage/index.html
.PHONY: coverage

# --- what a reviewer would rather not have to say ---

LINTS := lint-tidy lint-cppcheck lint-format lint-headers lint-banned \
	lint-scripts
.PHONY: lint lint-list format stats layers $(LINTS)
lint: $(LINTS) layers
lint-list:
	@printf '%s\n' $(LINTS)
layers:
	@tests/layers.sh

FORMAT := clang-format --style=file:contrib/clang-format
lint-format:
	@$(FORMAT) --dry-run --Werror $(C_FILES)
format:
	$(FORMAT) -i $(C_FILES)

# Not those that would have every memcpy replaced by what glibc lacks, or
# every second pair of parameters wrapped in a struct, nor what -Wconversion
# knows better.
TIDY := bugprone-*,clang-analyzer-*,concurrency-mt-unsafe,$\
	-bugprone-easily-swappable-parameters,$\
	-bugprone-implicit-widening-of-multiplication-result,$\
	-bugprone-branch-clone,-bugprone-narrowing-conversions,$\
	-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling
# What glibc makes safe may be called.
TIDY_CONFIG := {CheckOptions: [ $\
	{key: concurrency-mt-unsafe.FunctionSet, value: glibc}]}
# One file a run: given several, clang-tidy 14 takes every va_list after the
# first file for uninitialised.
lint-tidy: compile_commands.json
	@find build/tidy -type f -mtime +30 -delete 2>/dev/null || :
	@printf '%s\n' $(SOURCES) | xargs -P"$$(nproc)" -I{} tests/tidy {} --quiet -p . \
	  --warnings-as-errors='*' --checks='-*,$(TIDY)' --config='$(TIDY_CONFIG)'
lint-cppcheck:
	@cppcheck --quiet --std=c11 --enable=warning,performance,portability \
	  --inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem \
	  -Isrc -D_GNU_SOURCE src

# Each header stands alone, with both compilers.
lint-headers:
	@for h in $(filter src/%,$(HEADERS)); do for c in gcc $(CLANG); do \
	  $$c -fsyntax-only -x c -std=c17 $(WARNINGS) \
	  -Wno-unused-function -Werror $(OWN_CPPFLAGS) \
	  $(PKG_CFLAGS) $(CPPFLAGS) $$h || exit 1; done; done

# What has a safer form, and what is not finished or of one machine only.
lint-banned:
	@! grep -nE '\b(system|popen|strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atoll|alloca|setjmp|ctime|asctime|gmtime|localtime|readdir_r|tmpnam|mktemp|usleep)\(' \
	  $(filter src/%,$(C_FILES))
	@! grep -nE '\+= *(\([a-z_ ]+\) *)?v?snprintf|\bstrncat\(' \
	  $(filter src/%,$(C_FILES))
	@! grep -nIirwE 'TODO|FIXME|XXX|stub|not implemented|unimplemented' \
	  $(wildcard src man contrib README)
	@! grep -nIrE '/roo[t]/|/wor[k]/' $$(git ls-files)
	@! grep -LF 'SPDX-License-Identifier: BSD-2-Clause' $(C_FILES) Makefile | grep .
lint-scripts:
	@shellcheck -x -e SC2015,SC2317 -P tests/lib -P tests $(SCRIPTS)

stats:
	@tests/stats $(SOURCES) $(filter src/%,$(HEADERS))

compile_commands.json: Makefile $(SOURCES)
	@{ sep='['; for f in $(SOURCES) $(CHECK_SOURCES) $(SUPPORT_SOURCES); do \
	  printf '%s\n{"directory":"%s","file":"%s","command":"%s"}' "$$sep" \
	  '$(CURDIR)' $$f "$$(printf '%s ' \
	  $(call quoted,$(filter-out -Werror,$(COMPILE)) $(NAMES_ALL)) -Itests -c $$f | sed 's/["\\]/\\&/g')"; \
	  sep=,; done; echo; echo ']'; } >$@

# --- install ---

MANUALS := $(wildcard man/*.[1-8])
UNITS := $(wildcard contrib/systemd/*)
EXAMPLES := $(if $(systemdsystemunitdir),,$(UNITS)) $(wildcard contrib/cron/*)
# from:to, each with its mode
INSTALLED := \
	$(foreach m,$(MANUALS),644:$m:$(mandir)/man$(subst .,,$(suffix $m))/$(notdir $m)) \
	$(foreach f,COPYING $(wildcard README),644:$f:$(docdir)/$(notdir $f)) \
	$(foreach f,$(EXAMPLES),$(if $(shell test -x $f && echo x),755,644):$f:$(docdir)/examples/$(f:contrib/%=%)) \
	$(patsubst %,644:%:$(bashcompdir)/repolock,$(wildcard contrib/completion/repolock.bash)) \
	$(patsubst %,644:%:$(zshcompdir)/_repolock,$(wildcard contrib/completion/_repolock)) \
	$(patsubst %,644:%:$(fishcompdir)/repolock.fish,$(wildcard contrib/completion/repolock.fish))
.PHONY: install install-strip uninstall
install-strip: private STRIP := -s
install install-strip: all
	@$(INSTALL) -d "$(DESTDIR)$(bindir)"
	@$(INSTALL) $(STRIP) -m 755 build/repolock "$(DESTDIR)$(bindir)/repolock"
	@ln -sf repolock "$(DESTDIR)$(bindir)/with-lock"
ifneq ($(WITH_NATIVE),no)
	@$(INSTALL) $(STRIP) -D -m 755 build/repolock-native \
	  "$(DESTDIR)$(libexecdir)/repolock-native"
endif
	@set -e; for line in $(INSTALLED); do \
	  mode=$${line%%:*}; line=$${line#*:}; \
	  $(INSTALL) -D -m $$mode "$${line%%:*}" "$(DESTDIR)$${line#*:}"; done
ifneq ($(systemdsystemunitdir),)
	@$(INSTALL) -d "$(DESTDIR)$(systemdsystemunitdir)"
	@set -e; for unit in $(UNITS); do \
	  to="$(DESTDIR)$(systemdsystemunitdir)/$${unit##*/}"; \
	  sed 's|/usr/local/bin/|$(bindir)/|g' $$unit >"$$to"; chmod 644 "$$to"; done
endif
uninstall:
	@rm -f "$(DESTDIR)$(bindir)/repolock" "$(DESTDIR)$(bindir)/with-lock" \
	  "$(DESTDIR)$(libexecdir)/repolock-native" \
	  $(if $(systemdsystemunitdir),$(UNITS:contrib/systemd/%="$(DESTDIR)$(systemdsystemunitdir)/%"))
	@for line in $(INSTALLED); do rm -f "$(DESTDIR)$${line##*:}"; done
	@rmdir "$(DESTDIR)$(docdir)/examples/systemd" \
	  "$(DESTDIR)$(docdir)/examples/cron" "$(DESTDIR)$(docdir)/examples" \
	  "$(DESTDIR)$(docdir)" "$(DESTDIR)$(libexecdir)" 2>/dev/null || :
