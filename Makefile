# Chancery.  "make help" lists what can be made; the lists of files are in each folder's Makefile.
O        ?= build
override O := $(abspath $(O))
folders  := board/base board hsm net appliance tests/lib tests/mock tests/unit tests/fuzz tests/load tests/integration
SHELL    := /bin/bash
Q        := $(if $(V),,@)
# Silent with make -s, which the targets below use for what goes before their own work.
silent   := $(findstring s,$(filter-out --%,$(firstword $(MAKEFLAGS))))
say      = @$(if $(silent),,printf '  %-7s %s\n' $(1) '$(patsubst $(O)/%,%,$(2))';)

CC       ?= gcc
prefix   ?= /usr
cppflags := -D_GNU_SOURCE -include $(O)/include/generated/autoconf.h
cflags   := -std=gnu11 -O2 -g -fPIE -fstack-protector-strong -Wall -Wextra -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wformat=2 -Wpointer-arith -Wvla -Wno-unused-parameter -Werror $(SANITIZE)
cppflags += $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
ldflags  := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed $(SANITIZE)

.PHONY: all help FORCE
all: programs
help: ; @sed -n 's/^#: //p' $(MAKEFILE_LIST)
#: all (default)   the programs, in build/bin
#: demo            installs what is missing, enrolls one device, shows its certificate
#: run             the same appliance, kept running; CA=rsa2048, p256-rsa or p256
#: check           every test; check-asan, check-tsan, lint, fuzz, bench: what they say
#: install         into DESTDIR
#: menuconfig      sim_defconfig, savedefconfig: what the build contains

include board/build/kconfig.mk
include board/build/rules.mk
include board/build/targets.mk
