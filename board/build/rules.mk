# One include of a folder's Makefile per folder.  It may set:
#   uses-y     rooms that its files may include; no other folder is on their include path
#   obj-y      objects of the room's library            bin-y   programs: NAME, with NAME-main, NAME-rooms, NAME-libs
#   flags-y    extra compiler flags                     test-y  test programs, one source each
#   so-y       a shared object of all of obj-y, for tests
#   fuzz-y     fuzz targets, one source each; NAME-objs: further objects
room      = $(firstword $(subst /, ,$(1)))
archive   = $(O)/lib/$(subst /,-,$(1)).a
view      = $(O)/view/$(subst /,-,$(1))
libs-board     := -levent_core -lconfig -lcrypto $(if $(SANITIZE),,-lseccomp)
libs-hsm       := -lcrypto -ldl
libs-net       := -levent_extra -levent_openssl -levent_core -lcurl -ljansson -lssl -lcrypto
libs-appliance := -lsqlite3 -lcrypto
libs-tests     := -lcmocka -lcrypto
libs-load      := -lcrypto -lm
parts-board    := board board/base
parts-tests    := tests/lib
parts-load     := tests/load
parts      = $(foreach r,$(1),$(or $(parts-$(r)),$(r)))
programs  :=
tests     :=
fuzzers   :=

define folder
uses-y :=
obj-y :=
bin-y :=
test-y :=
fuzz-y :=
flags-y :=
so-y :=
include $(1)/Makefile
$(1)-uses := $$(sort $(call room,$(1)) $$(uses-y))
$(1)-objs := $$(addprefix $(O)/$(1)/,$$(obj-y))
$(1)-srcs := $$(wildcard $(1)/*.c)
programs  += $$(addprefix $(O)/bin/,$$(bin-y))
tests     += $$(addprefix $(O)/tests/,$$(test-y) $$(so-y))
fuzzers   += $$(addprefix $(O)/fuzz/,$$(fuzz-y))
$(O)/$(1)/%.o: flags := -I$(call view,$(1)) $$(flags-y)
$(O)/$(1)/%.o: $(1)/%.c $(KCONFIG_AUTOHEADER) $(call view,$(1))/.made
	$$(call say,CC,$$<) mkdir -p $$(@D)
	$$(Q)$$(CC) $$(cppflags) $$(CPPFLAGS) $$(flags) $$(cflags) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
$(call view,$(1))/.made: $(1)/Makefile board/build/rules.mk
	@rm -rf $$(@D) && mkdir -p $$(@D)
	@for room in $$($(1)-uses); do ln -s $(CURDIR)/$$$$room $$(@D)/$$$$room; done && touch $$@
$(call archive,$(1)): $$($(1)-objs)
	$$(call say,AR,$$@) mkdir -p $$(@D) && rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$^
$$(foreach b,$$(bin-y),$$(eval $$(call program,$(1),$$(b))))
$$(foreach t,$$(test-y),$$(eval $$(call test,$(1),$$(t))))
$$(foreach s,$$(so-y),$$(eval $$(call shared,$(1),$$(s))))
$$(foreach t,$$(fuzz-y),$$(eval $$(call fuzzer,$(1),$$(t))))
-include $$(wildcard $(O)/$(1)/*.d)
endef

define program
$(O)/bin/$(2): $(addprefix $(O)/$(1)/,$($(2)-main)) $(foreach p,$(call parts,$($(2)-rooms)),$(call archive,$(p)))
	$$(call say,LD,$$@) mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ldflags) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group \
		$(foreach r,$($(2)-rooms),$(libs-$(r))) $($(2)-libs) -lpthread
endef

define shared
$(O)/tests/$(2): $($(1)-objs)
	$$(call say,LD,$$@) mkdir -p $$(@D)
	$$(Q)$$(CC) -shared -Wl,-z,relro,-z,now,-z,noexecstack $$(SANITIZE) -o $$@ $$^ -ldl -lpthread
endef

define test
$(O)/tests/$(2): $(O)/$(1)/$(2).o $(foreach p,tests/lib board board/base hsm net appliance,$(call archive,$(p)))
	$$(call say,LD,$$@) mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ldflags) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group \
		$(foreach r,tests net hsm appliance board,$(libs-$(r))) -lpthread
endef

# Needs CC=clang and SANITIZE with fuzzer-no-link, as tests/fuzz/run.sh gives them.
define fuzzer
$(O)/fuzz/$(2): $(O)/$(1)/$(2).o $(addprefix $(O)/,$($(2)-objs)) \
		$(foreach p,tests/fuzz tests/lib board board/base hsm net appliance,$(call archive,$(p)))
	$$(call say,LD,$$@) mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ldflags) -fsanitize=fuzzer $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) \
		-Wl,--end-group $(foreach r,tests net hsm appliance board,$(libs-$(r))) -lpthread
endef

$(foreach f,$(folders),$(eval $(call folder,$(f))))

.PHONY: programs tests fuzzers
programs: $(programs)
tests: $(tests)
fuzzers: $(fuzzers)
