#include "net/ocspkeep.h"

#include <stdlib.h>
#include <string.h>

#include "board/base/clock.h"
#include "board/base/list.h"
#include "board/base/x509.h"

enum { BUCKETS = 8192, KEY_SIZE = 32, SERIAL_MAX = 20 };

struct waiter {
	struct list link;
	net_ocspkeep_fn fn;
	void *arg;
};

struct entry {
	struct list used; /* net_ocspkeep.used: the one that was asked for last is last */
	struct list hash; /* its bucket */
	struct net_ocspkeep *keep;
	uint8_t key[KEY_SIZE];
	uint8_t serial[SERIAL_MAX];
	size_t serial_len;
	struct net_page *page; /* NULL: none yet */
	int64_t refresh;       /* when to ask for a newer one */
	bool asking;
	bool forgotten; /* what is under way was asked for before the state changed */
	struct list waiters;
};

struct net_ocspkeep {
	struct config conf;
	struct ipc *authority;
	struct list used;
	struct list buckets[BUCKETS];
	size_t count;
	size_t asking;
};

/* ---- entries ---------------------------------------------------------------------------------------------------- */

/* A CertID as one hash: length-prefixed parts cannot be taken for others. */
static int
make_key(const struct net_ocsp_id *id, uint8_t key[KEY_SIZE])
{
	AUTO_BUF b;

	buf_init(&b, 256);
	buf_put_u8(&b, (uint8_t)id->digest);
	buf_put_bytes(&b, id->name_hash);
	buf_put_bytes(&b, id->key_hash);
	buf_put_bytes(&b, id->serial);
	if (buf_status(&b) != 0)
		return buf_status(&b);
	x509_sha256(buf_bytes(&b), key);
	return 0;
}

static struct list *
bucket_of(struct net_ocspkeep *keep, const uint8_t key[KEY_SIZE])
{
	return &keep->buckets[(key[0] << 8 | key[1]) % BUCKETS];
}

static struct entry *
find(struct net_ocspkeep *keep, const uint8_t key[KEY_SIZE])
{
	struct list *pos, *tmp;

	list_each (pos, tmp, bucket_of(keep, key)) {
		struct entry *entry = list_entry(pos, struct entry, hash);

		if (memcmp(entry->key, key, KEY_SIZE) == 0)
			return entry;
	}
	return NULL;
}

static void
entry_free(struct entry *entry)
{
	list_remove(&entry->used);
	list_remove(&entry->hash);
	entry->keep->count--;
	net_page_free(entry->page);
	free(entry);
}

/* Makes room for one more; what is being asked for stays. */
static void
evict(struct net_ocspkeep *keep)
{
	struct list *pos, *tmp;

	list_each (pos, tmp, &keep->used) {
		struct entry *entry = list_entry(pos, struct entry, used);

		if (keep->count < (size_t)keep->conf.front_ocsp_answers)
			return;
		if (!entry->asking)
			entry_free(entry);
	}
}

static struct entry *
entry_new(struct net_ocspkeep *keep, const struct net_ocsp_id *id, const uint8_t key[KEY_SIZE])
{
	struct entry *entry;

	evict(keep);
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return NULL;
	entry->keep = keep;
	memcpy(entry->key, key, KEY_SIZE);
	memcpy(entry->serial, id->serial.data, id->serial.len);
	entry->serial_len = id->serial.len;
	list_init(&entry->used);
	list_init(&entry->hash);
	list_init(&entry->waiters);
	list_append(&keep->used, &entry->used);
	list_append(bucket_of(keep, key), &entry->hash);
	keep->count++;
	return entry;
}

static bool
is_good(const struct entry *entry)
{
	return entry->page != NULL && entry->page->fresh_until > clock_wall();
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static void
tell(struct entry *entry, struct net_page *page, int status)
{
	struct list *pos, *tmp;

	list_each (pos, tmp, &entry->waiters) {
		struct waiter *waiter = list_entry(pos, struct waiter, link);

		list_remove(&waiter->link);
		waiter->fn(page, status, waiter->arg);
		free(waiter);
	}
}

/* Keeps a new answer; the old one stays if there is no memory. */
static int
keep_answer(struct entry *entry, const struct msg_ocsp_answer *m)
{
	struct net_page *page;

	if (net_page_new("application/ocsp-response", m->response, m->this_update, m->next_update, &page) != 0)
		return NET_OCSP_TRY_LATER;
	net_page_free(entry->page);
	entry->page = page;
	entry->refresh = m->this_update + (m->next_update - m->this_update) / 2;
	return NET_OCSP_SUCCESSFUL;
}

static void
on_answer(int code, const struct ipc_message *message, void *arg)
{
	struct entry *entry = arg;
	struct msg_ocsp_answer m = {.status = NET_OCSP_TRY_LATER};
	int status;

	entry->keep->asking--;
	entry->asking = false;
	if (code == 0 && (message->type != MSG_OCSP_ANSWER || msg_ocsp_answer_get(message->body, &m) != 0))
		m.status = NET_OCSP_TRY_LATER;
	status = m.status;
	if (entry->forgotten)
		status = NET_OCSP_TRY_LATER;
	else if (status == NET_OCSP_SUCCESSFUL)
		status = keep_answer(entry, &m);
	entry->forgotten = false;
	/* Not to be had now: the one that we have goes on, and each question tries again. */
	if (status == NET_OCSP_TRY_LATER && is_good(entry))
		status = NET_OCSP_SUCCESSFUL;
	tell(entry, status == NET_OCSP_SUCCESSFUL ? entry->page : NULL, status);
	if (status != NET_OCSP_SUCCESSFUL)
		entry_free(entry);
}

/* Asks the authority; on_answer() runs later, never before this returns.  False when it cannot be asked. */
static bool
ask(struct entry *entry, const struct net_ocsp_id *id)
{
	struct net_ocspkeep *keep = entry->keep;
	struct msg_ocsp_ask m = {.digest = (uint8_t)id->digest,
				 .name_hash = id->name_hash,
				 .key_hash = id->key_hash,
				 .serial = id->serial};

	if (entry->asking)
		return true;
	if (keep->authority == NULL || keep->asking >= (size_t)keep->conf.front_requests_in_flight ||
	    msg_ocsp_ask_call(keep->authority, &m, keep->conf.scep_timeout_ms, on_answer, entry) != 0)
		return false;
	entry->asking = true;
	keep->asking++;
	return true;
}

static bool
wait_for(struct entry *entry, net_ocspkeep_fn fn, void *arg)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (waiter == NULL)
		return false;
	waiter->fn = fn;
	waiter->arg = arg;
	list_init(&waiter->link);
	list_append(&entry->waiters, &waiter->link);
	return true;
}

void
net_ocspkeep_get(struct net_ocspkeep *keep, const struct net_ocsp_id *id, net_ocspkeep_fn fn, void *arg)
{
	uint8_t key[KEY_SIZE] = {0};
	struct entry *entry = NULL;

	if (make_key(id, key) == 0)
		entry = find(keep, key);
	else
		id = NULL;
	if (entry == NULL && id != NULL)
		entry = entry_new(keep, id, key);
	if (entry == NULL) {
		fn(NULL, NET_OCSP_TRY_LATER, arg);
		return;
	}
	list_remove(&entry->used);
	list_append(&keep->used, &entry->used);
	if (is_good(entry)) {
		if (entry->refresh <= clock_wall())
			(void)ask(entry, id);
		fn(entry->page, NET_OCSP_SUCCESSFUL, arg);
		return;
	}
	if (ask(entry, id) && wait_for(entry, fn, arg))
		return;
	if (!entry->asking)
		entry_free(entry);
	fn(NULL, NET_OCSP_TRY_LATER, arg);
}

void
net_ocspkeep_forget(struct net_ocspkeep *keep, struct bytes serial)
{
	struct list *pos, *tmp;

	/* Rare, and twenty thousand comparisons take well under a millisecond. */
	list_each (pos, tmp, &keep->used) {
		struct entry *entry = list_entry(pos, struct entry, used);

		if (!bytes_equal((struct bytes){entry->serial, entry->serial_len}, serial))
			continue;
		net_page_free(TAKE(entry->page));
		entry->forgotten = entry->asking;
		if (!entry->asking)
			entry_free(entry);
	}
}

size_t
net_ocspkeep_count(const struct net_ocspkeep *keep)
{
	return keep->count;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

void
net_ocspkeep_set_authority(struct net_ocspkeep *keep, struct ipc *authority)
{
	struct list *pos, *tmp;

	if (authority == keep->authority)
		return;
	keep->authority = authority;
	/* What changed while no channel was there was not told. */
	list_each (pos, tmp, &keep->used)
		list_entry(pos, struct entry, used)->refresh = 0;
}

void
net_ocspkeep_configure(struct net_ocspkeep *keep, const struct config *conf)
{
	keep->conf = *conf;
}

int
net_ocspkeep_new(const struct config *conf, struct net_ocspkeep **ret_keep)
{
	struct net_ocspkeep *keep = calloc(1, sizeof(*keep));

	if (keep == NULL)
		return ERR_NOMEM;
	keep->conf = *conf;
	list_init(&keep->used);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&keep->buckets[i]);
	*ret_keep = keep;
	return 0;
}

void
net_ocspkeep_free(struct net_ocspkeep *keep)
{
	struct list *pos, *tmp;

	if (keep == NULL)
		return;
	list_each (pos, tmp, &keep->used)
		entry_free(list_entry(pos, struct entry, used));
	free(keep);
}
