# What people and machines call.  The work is done by scripts of one purpose each; they install what they miss.
needs  = @board/build/needs.sh
CA    ?= rsa2048
export O

.PHONY: install-needs demo run check check-unit check-integration check-asan check-tsan lint fuzz bench install clean
install-needs: ; $(needs) build run demo check pages
demo: ; $(needs) build run demo
	@echo "Building (half a minute the first time)"; $(MAKE) -s programs
	@board/sim/demo.sh --out $(O)/run --bin $(O)/bin --ca $(CA)
run: ; $(needs) build run
	@echo "Building (half a minute the first time)"; $(MAKE) -s programs
	@exec board/sim/run.sh --out $(O)/run --bin $(O)/bin --ca $(CA) --legacy "$(LEGACY)"
check: ; $(needs) build run demo check pages
	@tests/check.sh lint unit fuzz integration
check-unit check-integration: check-%: ; $(needs) build run demo check pages
	@tests/check.sh $*
lint: ; $(needs) build check
	@tests/check.sh lint
check-asan: ; $(needs) build run demo check pages sanitize
	@O=$(O)/asan SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined" CC=clang tests/check.sh unit integration
check-tsan: ; $(needs) build run demo check pages sanitize
	@O=$(O)/tsan SANITIZE=-fsanitize=thread CC=clang tests/check.sh unit integration
fuzz: ; $(needs) build check
	@tests/fuzz/run.sh
bench: ; $(needs) build run bench
	@$(MAKE) -s programs
	@tests/bench/bench.sh --out $(O) --bin $(O)/bin $(BENCH)
clean: ; rm -rf $(O)

sbin    := $(DESTDIR)$(prefix)/sbin
libexec := $(DESTDIR)$(prefix)/libexec/chancery
man     := $(DESTDIR)$(prefix)/share/man
install: programs
	install -D -t $(sbin) $(O)/bin/chanceryd $(O)/bin/chancery $(O)/bin/chancery-hsmspeed $(O)/bin/chancery-load
	install -D -t $(libexec) $(addprefix $(O)/bin/chancery-,front authority signer courier provision)
	install -D -m 644 -t $(DESTDIR)$(prefix)/lib/systemd/system board/chancery.service
	install -D -m 644 board/sysusers.conf $(DESTDIR)$(prefix)/lib/sysusers.d/chancery.conf
	install -D -m 644 -t $(DESTDIR)/etc/chancery appliance/ceremony.conf.sample
	$(O)/bin/chanceryd --print-config --config /dev/null > $(DESTDIR)/etc/chancery/chancery.conf.sample
	install -D -m 644 -t $(man)/man8 appliance/man/chancery.8 appliance/man/chancery-hsmspeed.8 appliance/man/chancery-load.8
	sed -e "/@EVENTS@/{r /dev/stdin" -e "d}" appliance/man/chanceryd.8 > $(man)/man8/chanceryd.8 \
		< <(LC_ALL=C sort board/base/log.def | awk -f appliance/man/events.awk board/base/ndes.def -)
	install -D -m 644 -t $(man)/man5 appliance/man/chancery-template.5
	sed -e "/@SETTINGS@/{r /dev/stdin" -e "d}" appliance/man/chancery.conf.5.in > $(man)/man5/chancery.conf.5 \
		< <($(O)/bin/chanceryd --print-config-man)
