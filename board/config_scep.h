/*
 * board/config_scep - what the texts of SCEP settings and of SCEP profiles must look like
 *
 * board/config_check.c asks; all of these are as config_check_text() says: true when value is allowed, else the end of
 * a sentence stands in why.
 *
 * Threads:  any.
 */
#ifndef BOARD_CONFIG_SCEP_H
#define BOARD_CONFIG_SCEP_H

#include <stdbool.h>
#include <stddef.h>

/* challenge.accept */
bool config_scep_accept(const char *value, char *why, size_t size);

/* scep.microsoft_attributes */
bool config_scep_microsoft(const char *value, char *why, size_t size);

/* scep.caps_extra: words that we neither announce by ourselves nor know to be false. */
bool config_scep_caps(const char *value, char *why, size_t size);

/* The name of a profile: part of a URL, and of none that is there already. */
bool config_scep_name(const char *value, char *why, size_t size);

/* One of the presets of profile.def, or none. */
bool config_scep_preset(const char *value, char *why, size_t size);

/* ra_certificates of a profile. */
bool config_scep_ra(const char *value, char *why, size_t size);

#endif
