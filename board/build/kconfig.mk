# Kconfig by kconfig-frontends: build/.config → autoconf.h for C, auto.conf for make.
export srctree            := $(CURDIR)
export KCONFIG_CONFIG     := $(O)/.config
export KCONFIG_AUTOHEADER := $(O)/include/generated/autoconf.h
export KCONFIG_AUTOCONFIG := $(O)/include/config/auto.conf
export KCONFIG_TRISTATE   := $(O)/include/config/tristate.conf
kconfigs := $(shell find . -name Kconfig -not -path './build*')
# kconfig-conf writes relative to where it runs, and --silentoldconfig asks about new symbols unless --olddefconfig ran.
kconf    = mkdir -p $(O)/include/config $(O)/include/generated && cd $(O) && kconfig-$(1) $(2) Kconfig

ifeq ($(filter %_defconfig menuconfig savedefconfig help install-needs demo run check lint bench bench-% check-% clean,$(MAKECMDGOALS)),)
-include $(KCONFIG_AUTOCONFIG)
endif

.PHONY: menuconfig savedefconfig
$(KCONFIG_CONFIG): ; @$(call kconf,conf,--defconfig=$(CURDIR)/board/sim/defconfig) >/dev/null
$(KCONFIG_AUTOCONFIG): $(KCONFIG_CONFIG) $(kconfigs)
	@$(call kconf,conf,--olddefconfig) >/dev/null
	@$(call kconf,conf,--silentoldconfig) >/dev/null
	@touch $(KCONFIG_AUTOCONFIG) $(KCONFIG_AUTOHEADER)
$(KCONFIG_AUTOHEADER): $(KCONFIG_AUTOCONFIG) ;
menuconfig: $(KCONFIG_CONFIG) ; @$(call kconf,mconf)
# What kconfig-conf drops silently (a typing error, a value out of range) is an error here.
%_defconfig: FORCE
	@$(call kconf,conf,--defconfig=$(CURDIR)/board/$*/defconfig) >/dev/null
	@lost=$$(grep -vxFf $(O)/.config board/$*/defconfig); test -z "$$lost" || \
		{ echo "board/$*/defconfig: not accepted by Kconfig: $$lost"; exit 1; }
	@echo "  configured for board $*; next: make"
# The board is named even if it is the one that Kconfig takes unasked.
savedefconfig: $(KCONFIG_CONFIG)
	@$(call kconf,conf,--savedefconfig=$(O)/defconfig.part)
	@grep -E '^CONFIG_BOARD_[A-Z0-9]+=y' $(O)/.config | cat - $(O)/defconfig.part | awk '!seen[$$0]++' >$(O)/defconfig
	@rm $(O)/defconfig.part; echo "  $(O)/defconfig"
