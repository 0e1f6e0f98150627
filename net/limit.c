#include "net/limit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { BUCKETS = 16384 };

struct entry {
	struct entry *next;
	struct net_limit_key key;
	unsigned count;
};

struct net_limit {
	pthread_mutex_t lock;
	unsigned total_max;
	unsigned address_max;
	unsigned total;
	size_t octets_max;
	size_t octets;
	uint64_t seed; /* peers choose their addresses, so they must not know the buckets */
	struct entry *buckets[BUCKETS];
};

int
net_limit_new(unsigned total, unsigned per_address, struct net_limit **ret_limit)
{
	struct net_limit *limit = calloc(1, sizeof(*limit));

	if (limit == NULL)
		return ERR_NOMEM;
	if (getrandom(&limit->seed, sizeof(limit->seed), GRND_NONBLOCK) != sizeof(limit->seed))
		limit->seed = (uint64_t)(uintptr_t)limit;
	pthread_mutex_init(&limit->lock, NULL);
	limit->total_max = total;
	limit->address_max = per_address;
	limit->octets_max = SIZE_MAX;
	*ret_limit = limit;
	return 0;
}

void
net_limit_free(struct net_limit *limit)
{
	if (limit == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (limit->buckets[i] != NULL) {
			struct entry *entry = limit->buckets[i];

			limit->buckets[i] = entry->next;
			free(entry);
		}
	}
	pthread_mutex_destroy(&limit->lock);
	free(limit);
}

void
net_limit_set(struct net_limit *limit, unsigned total, unsigned per_address)
{
	pthread_mutex_lock(&limit->lock);
	limit->total_max = total;
	limit->address_max = per_address;
	pthread_mutex_unlock(&limit->lock);
}

void
net_limit_set_octets(struct net_limit *limit, size_t max)
{
	pthread_mutex_lock(&limit->lock);
	limit->octets_max = max;
	pthread_mutex_unlock(&limit->lock);
}

bool
net_limit_hold(struct net_limit *limit, size_t before, size_t now)
{
	bool fits;

	pthread_mutex_lock(&limit->lock);
	BUG_ON(limit->octets < before);
	limit->octets = limit->octets - before + now;
	fits = limit->octets <= limit->octets_max;
	pthread_mutex_unlock(&limit->lock);
	return fits;
}

size_t
net_limit_octets(struct net_limit *limit)
{
	size_t octets;

	pthread_mutex_lock(&limit->lock);
	octets = limit->octets;
	pthread_mutex_unlock(&limit->lock);
	return octets;
}

static bool
is_mapped(const struct sockaddr *address)
{
	return address->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

struct net_limit_key
net_limit_key(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;
	struct net_limit_key key = {{0}};

	if (address->sa_family == AF_INET) {
		key.octets[10] = key.octets[11] = 0xff;
		memcpy(key.octets + 12, &v4->sin_addr, 4);
	} else if (address->sa_family == AF_INET6) {
		memcpy(key.octets, &v6->sin6_addr, is_mapped(address) ? 16 : 8);
	}
	return key;
}

char *
net_limit_text(const struct sockaddr *address, char *out, size_t size)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;
	const char *text = NULL;

	if (address->sa_family == AF_INET)
		text = inet_ntop(AF_INET, &v4->sin_addr, out, (socklen_t)size);
	else if (is_mapped(address))
		text = inet_ntop(AF_INET, (const uint8_t *)&v6->sin6_addr + 12, out, (socklen_t)size);
	else if (address->sa_family == AF_INET6)
		text = inet_ntop(AF_INET6, &v6->sin6_addr, out, (socklen_t)size);
	if (text == NULL)
		snprintf(out, size, "local");
	return out;
}

/* The link that points to the entry of key, or to the NULL at the end of its bucket. */
static struct entry **
find(struct net_limit *limit, const struct net_limit_key *key)
{
	struct entry **link;
	uint64_t halves[2];
	uint64_t hash;

	memcpy(halves, key->octets, sizeof(halves));
	hash = (halves[0] ^ limit->seed) * 0x9e3779b97f4a7c15u;
	hash = ((hash ^ (hash >> 29)) + halves[1] + limit->seed) * 0xbf58476d1ce4e5b9u;
	hash ^= hash >> 32;
	for (link = &limit->buckets[hash % BUCKETS]; *link != NULL; link = &(*link)->next) {
		if (memcmp(&(*link)->key, key, sizeof(*key)) == 0)
			break;
	}
	return link;
}

static int
enter_locked(struct net_limit *limit, const struct net_limit_key *key)
{
	struct entry **link;

	if (limit->total >= limit->total_max)
		return ERR_BUSY;
	link = find(limit, key);
	if (*link != NULL && (*link)->count >= limit->address_max)
		return ERR_LIMIT;
	if (*link == NULL) {
		*link = calloc(1, sizeof(**link));
		if (*link == NULL)
			return ERR_NOMEM;
		(*link)->key = *key;
	}
	(*link)->count++;
	limit->total++;
	return 0;
}

int
net_limit_enter(struct net_limit *limit, const struct net_limit_key *key)
{
	int rc;

	pthread_mutex_lock(&limit->lock);
	rc = enter_locked(limit, key);
	pthread_mutex_unlock(&limit->lock);
	return rc;
}

void
net_limit_leave(struct net_limit *limit, const struct net_limit_key *key)
{
	struct entry **link;
	struct entry *entry;

	pthread_mutex_lock(&limit->lock);
	link = find(limit, key);
	entry = *link;
	BUG_ON(entry == NULL || limit->total == 0);
	limit->total--;
	if (--entry->count == 0) {
		*link = entry->next;
		free(entry);
	}
	pthread_mutex_unlock(&limit->lock);
}

unsigned
net_limit_total(struct net_limit *limit)
{
	unsigned total;

	pthread_mutex_lock(&limit->lock);
	total = limit->total;
	pthread_mutex_unlock(&limit->lock);
	return total;
}

unsigned
net_limit_count(struct net_limit *limit, const struct net_limit_key *key)
{
	struct entry *entry;
	unsigned count;

	pthread_mutex_lock(&limit->lock);
	entry = *find(limit, key);
	count = entry == NULL ? 0 : entry->count;
	pthread_mutex_unlock(&limit->lock);
	return count;
}
