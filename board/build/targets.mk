# What people and machines call; the work is done by scripts of one purpose each.
.PHONY: install-needs demo run check check-unit check-integration check-asan check-tsan lint bench install clean

clean: ; rm -rf $(O)
