/*
 * appliance/ceremony - the file that says what provisioning shall do
 *
 * Threads:  any.
 */
#ifndef APPLIANCE_CEREMONY_H
#define APPLIANCE_CEREMONY_H

#include "board/base/err.h"
#include "board/msg.h"

struct app_ceremony {
	char token_label[33];
	char so_pin_file[200]; /* "": ask */
	bool subordinate;
	char ca_name[400]; /* text for app_name_parse() */
	int ca_days;
	int path_length; /* -1: none */
	enum key_alg key[KEY_CLASS_COUNT];
	bool wanted[KEY_CLASS_COUNT]; /* the classes that get a key of their own */
};

/*
 * Reads a ceremony file (libconfig; ceremony.conf.sample has every setting).  Unknown and missing settings and values
 * that are not allowed fail with ERR_CONFIG, and e says "FILE:LINE: setting: what is allowed".
 */
MUST_CHECK int app_ceremony_read(const char *path, struct app_ceremony *ret_ceremony, struct err *e);

#endif
