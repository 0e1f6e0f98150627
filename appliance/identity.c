/*
 * The part of internal.h that says who we are: which certificates the fronts show and sign with.
 */
#include <string.h>

#include "appliance/state.h"

enum { IDENTITY_LIMIT = 262144 };

/* The newest generation that has both RA certificates; right after a roll-over it is the one before. */
static unsigned
shown_generation(const struct app_authority *a)
{
	const struct app_ra *decrypt = &a->internal.ra[APP_RA_DECRYPT];

	for (size_t i = 0; i < decrypt->count; i++) {
		if (app_internal_newest(&a->internal.ra[APP_RA_SIGN], decrypt->certificates[i].generation) != NULL)
			return decrypt->certificates[i].generation;
	}
	return CA_GENERATIONS;
}

static void
identity_issuers(const struct app_authority *a, struct msg_identity *m)
{
	for (unsigned g = 0; g < CA_GENERATIONS; g++) {
		enum app_issuer_state state = a->issuers.of[g].state;

		if (a->generations[g].chain_count == 0 || (state != APP_ISSUER_CURRENT && state != APP_ISSUER_PREVIOUS))
			continue;
		m->issuers.item[g] = a->generations[g].chain[0];
		m->issuers.count = g + 1;
	}
}

/* Adds the certificates of the shown generation, or those of all others. */
static void
put_decrypt(const struct app_ra *decrypt, unsigned shown, bool of_shown, struct msg_list *list)
{
	for (size_t i = 0; i < decrypt->count; i++) {
		if ((decrypt->certificates[i].generation == shown) == of_shown)
			list->item[list->count++] = decrypt->certificates[i].der;
	}
}

bool
app_internal_identity(const struct app_authority *a, struct msg_identity *m)
{
	const struct app_ra *sign = &a->internal.ra[APP_RA_SIGN];
	const struct app_ra *decrypt = &a->internal.ra[APP_RA_DECRYPT];
	unsigned shown = shown_generation(a);
	unsigned next = app_generation_next(a);

	if (shown == CA_GENERATIONS)
		return false;
	memset(m, 0, sizeof(*m));
	m->chain.count = a->generations[shown].chain_count;
	memcpy(m->chain.item, a->generations[shown].chain, m->chain.count * sizeof(m->chain.item[0]));
	m->ra_sign = app_internal_newest(sign, shown)->der;
	for (size_t i = 0; i < sign->count; i++)
		m->ra_signers.item[m->ra_signers.count++] = sign->certificates[i].der;
	/* The shown one's come first. */
	put_decrypt(decrypt, shown, true, &m->ra_decrypt);
	put_decrypt(decrypt, shown, false, &m->ra_decrypt);
	identity_issuers(a, m);
	if (next < CA_GENERATIONS)
		m->announcement = a->generations[next].announcement;
	return true;
}

void
app_internal_announce(struct app_authority *a)
{
	struct msg_identity m;
	uint8_t hash[32];
	AUTO_BUF encoded;

	buf_init(&encoded, IDENTITY_LIMIT);
	if (!app_internal_identity(a, &m))
		return;
	msg_identity_put(&encoded, &m);
	x509_sha256(buf_bytes(&encoded), hash);
	if (a->internal.ready && memcmp(hash, a->internal.sent, sizeof(hash)) == 0)
		return;
	memcpy(a->internal.sent, hash, sizeof(hash));
	app_publish_identity(a);
	if (a->internal.ready)
		return;
	a->internal.ready = true;
	if (a->on_ready != NULL)
		a->on_ready();
}
