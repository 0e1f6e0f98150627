#include "net/retry.h"

#include <stdint.h>
#include <sys/random.h>

#include "board/base/err.h"

enum {
	RETRY_DEVICE_S = 10, /* token or store: an operator may have to look */
	RETRY_AWAY_S = 3,
	RETRY_BUSY_S = 3, /* at most, at least 1: those that were refused together do not come back together */
};

int
net_retry_seconds(int code)
{
	uint8_t random = 0;

	switch (code) {
	case ERR_TOKEN:
	case ERR_PIN:
	case ERR_STORE:
	case ERR_IO:
		return RETRY_DEVICE_S;
	case ERR_BUSY:
		if (getrandom(&random, 1, GRND_NONBLOCK) != 1)
			return RETRY_BUSY_S;
		return 1 + random % RETRY_BUSY_S;
	default:
		return RETRY_AWAY_S;
	}
}
