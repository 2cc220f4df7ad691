# SPDX-License-Identifier: BSD-2-Clause
#
# make            build/repolock and build/repolock-native
# make check      all tests (installs what they need; see README)
# make install    DESTDIR= prefix= as usual
#
# Objects of different VARIANTs (plain, asan, tsan, cov, fuzz) and compilers
# never mix: each has its own folder below build/.

VERSION := $(shell cat VERSION)
CC ?= cc
PKG_CONFIG ?= pkg-config
prefix ?= /usr/local
bindir ?= $(prefix)/bin
libexecdir ?= $(prefix)/lib/repolock
mandir ?= $(prefix)/share/man
WERROR ?= -Werror
VARIANT ?= plain
V ?= 0

OPT_plain := -O2
OPT_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan := -O1 -fsanitize=thread -fno-omit-frame-pointer
OPT_cov := -O0 --coverage

CFLAGS ?= -g
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wwrite-strings -Wvla \
	-Wformat=2 -Wconversion -Wundef -Wcast-qual -Wpointer-arith \
	-Wnull-dereference -Wimplicit-fallthrough $(WERROR)
HARDENING_plain := -D_FORTIFY_SOURCE=2
override CFLAGS += -std=c17 $(OPT_$(VARIANT)) $(HARDENING_$(VARIANT)) \
	-fstack-protector-strong -fPIE $(WARNINGS)
override CPPFLAGS += -D_GNU_SOURCE -Isrc -DREPOLOCK_VERSION='"$(VERSION)"' \
	-DREPOLOCK_LIBEXECDIR='"$(libexecdir)"'
override LDFLAGS += -pie -pthread $(OPT_$(VARIANT)) -Wl,-z,relro,-z,now

# Only repolock-native is linked with these; repolock itself needs libc alone.
NATIVE_PKGS := jansson libcrypto libzstd uuid
NATIVE_SOURCES := $(wildcard src/lock/restic*.c src/lock/borg*.c src/util/hash.c src/net/*.c)
SOURCES := $(wildcard src/*.c src/*/*.c)
CORE_SOURCES := $(filter-out $(NATIVE_SOURCES),$(SOURCES))

B := build/$(VARIANT)-$(notdir $(firstword $(CC)))
CORE_OBJECTS := $(CORE_SOURCES:%.c=$B/%.o)
OBJECTS := $(SOURCES:%.c=$B/%.o)
LIB_OBJECTS := $(filter-out $B/src/main.o,$(OBJECTS))
CHECKS := $(patsubst tests/%.c,$B/%,$(wildcard tests/check_*.c))
TEST_SUPPORT := $(patsubst %.c,$B/%.o,$(filter-out tests/check_%.c,$(wildcard tests/*.c)))

NATIVE_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(NATIVE_PKGS))
NATIVE_LIBS = $(shell $(PKG_CONFIG) --libs $(NATIVE_PKGS))

Q_0 := @
Q := $(Q_$(V))
say_0 = @echo '  $(1)  $(2)';
say = $(say_$(V))

.PHONY: all checks clean
all: build/repolock build/repolock-native

# The programs of this variant are copied to where everybody looks.
build/repolock: $B/repolock
	$(Q)cp -f $< $@
build/repolock-native: $B/repolock-native
	$(Q)cp -f $< $@

$B/repolock: $(CORE_OBJECTS)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$B/repolock-native: $(OBJECTS)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(NATIVE_LIBS) $(LDLIBS)

checks: $(CHECKS)
$B/check_%: $B/tests/check_%.o $(TEST_SUPPORT) $(LIB_OBJECTS)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(NATIVE_LIBS) $(shell $(PKG_CONFIG) --libs check) $(LDLIBS)

$B/tests/%.o: override CFLAGS += -Wno-pedantic -Wno-conversion $(shell $(PKG_CONFIG) --cflags check)
$B/%.o: %.c VERSION Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(NATIVE_CFLAGS) -MMD -MP -c -o $@ $<

clean:
	rm -rf build

-include $(wildcard $B/*/*.d $B/*/*/*.d)
