#include "appliance/generation.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "appliance/state.h"
#include "board/base/clock.h"
#include "board/base/der.h"
#include "board/base/log.h"
#include "board/base/oid.h"

enum { HOUR_S = 3600 };

CLEANUP(EVP_PKEY, EVP_PKEY_free)

/* ---- chains ------------------------------------------------------------------------------------------------------ */

static void
generation_fini(struct app_generation *generation)
{
	for (size_t i = 0; i < generation->chain_count; i++)
		free((void *)generation->chain[i].data);
	free((void *)generation->announcement.data);
	memset(generation, 0, sizeof(*generation));
}

static bool
is_same_chain(const struct app_generation *generation, const struct msg_list *certificates)
{
	if (generation->chain_count != certificates->count)
		return false;
	for (size_t i = 0; i < generation->chain_count; i++) {
		if (!bytes_equal(generation->chain[i], certificates->item[i]))
			return false;
	}
	return true;
}

static int
copy_chain(struct app_generation *generation, const struct msg_ca_chain *m, struct err *e)
{
	for (size_t i = 0; i < m->certificates.count; i++) {
		generation->chain[i] = bytes_dup(m->certificates.item[i]);
		if (generation->chain[i].data == NULL)
			return err_set(e, ERR_NOMEM, 0, "CA chain");
		generation->chain_count++;
	}
	generation->announcement = bytes_dup(m->announcement);
	return app_issuer_init(generation->chain[0], &generation->issuer, e);
}

/* What others read of the authority is the current generation's. */
static void
set_current(struct app_authority *a, unsigned g)
{
	const struct app_generation *generation = &a->generations[g];

	a->current = g;
	a->issuer = generation->issuer;
	a->chain_count = generation->chain_count;
	memcpy(a->chain, generation->chain, sizeof(a->chain));
}

static void
on_made_known(struct app_store_request *request, void *arg)
{
	struct app_authority *a = arg;
	char when[24];

	if (request->code != 0) {
		log_event(FAILURE, "storing the CA certificate", err_name(request->code), request->e.detail,
			  log_text(request->e.text));
	} else if (request->op == APP_STORE_ISSUER_PREPARE) {
		const struct app_generation *generation = &a->generations[request->issuer];

		app_generation_adopt(a, request);
		if (a->issuers.of[request->issuer].state == APP_ISSUER_NEXT)
			log_event(CA_PREPARED, request->issuer + 1, log_text(request->subject),
				  clock_text(generation->issuer.cert.tbs.not_after, when, sizeof(when)));
	}
	app_store_request_fini(request);
	free(request);
}

/* The store keys certificates by 16 octets; a CA made elsewhere may have a longer or shorter serial number. */
static void
ca_serial(const struct app_generation *generation, uint8_t serial[APP_SERIAL_SIZE])
{
	struct bytes own = generation->issuer.cert.tbs.serial;
	uint8_t hash[32];

	memset(serial, 0, APP_SERIAL_SIZE);
	if (own.len <= APP_SERIAL_SIZE) {
		memcpy(serial + APP_SERIAL_SIZE - own.len, own.data, own.len);
		return;
	}
	x509_sha256(generation->chain[0], hash);
	memcpy(serial, hash, APP_SERIAL_SIZE);
}

/* Makes the generation or its certificate known to the store; both may be there already. */
static int
make_known(struct app_authority *a, unsigned g, enum app_store_op op, struct err *e)
{
	const struct app_generation *generation = &a->generations[g];
	struct app_store_request *request = calloc(1, sizeof(*request));
	int status;

	if (request == NULL)
		return err_set(e, ERR_NOMEM, 0, "CA certificate");
	request->op = op;
	request->done = on_made_known;
	request->arg = a;
	request->usage = APP_USAGE_CA;
	request->issuer = g;
	request->now = clock_wall();
	request->not_before = generation->issuer.cert.tbs.not_before;
	request->not_after = generation->issuer.cert.tbs.not_after;
	request->der = generation->chain[0];
	ca_serial(generation, request->serial);
	x509_name_text(generation->issuer.cert.tbs.subject, request->subject, sizeof(request->subject));
	snprintf(request->template_name, sizeof(request->template_name), "ca");
	snprintf(request->actor, sizeof(request->actor), "system");
	status = app_store_submit(a->store, request);
	if (status != 0)
		free(request);
	return status;
}

/* The certificate is for "certificate list", the other for the roll-over. */
static int
introduce(struct app_authority *a, unsigned g, struct err *e)
{
	int status = make_known(a, g, APP_STORE_CA_PUT, e);

	if (status == 0 && a->issuers.of[g].state == APP_ISSUER_NONE)
		status = make_known(a, g, APP_STORE_ISSUER_PREPARE, e);
	return status;
}

int
app_generation_take(struct app_authority *a, const struct msg_ca_chain *m, struct err *e)
{
	struct app_generation *generation;
	int status;

	if (m->generation >= CA_GENERATIONS || m->certificates.count == 0 || m->certificates.count > APP_CHAIN_MAX)
		return err_set(e, ERR_FORMAT, 0, "CA chain of %zu certificates", m->certificates.count);
	generation = &a->generations[m->generation];
	if (generation->chain_count > 0)
		return is_same_chain(generation, &m->certificates)
			       ? 0
			       : err_set(e, ERR_STAGE, 0, "another CA chain needs a restart");
	status = copy_chain(generation, m, e);
	if (status != 0) {
		generation_fini(generation);
		return status;
	}
	/* Until the store is open, the oldest one is as good as any. */
	if (a->chain_count == 0)
		set_current(a, m->generation);
	return a->store == NULL ? 0 : introduce(a, m->generation, e);
}

int
app_generation_open(struct app_authority *a, struct err *e)
{
	unsigned current;
	int status = 0;

	a->issuers = *app_store_issuers(a->store);
	current = app_issuers_find(&a->issuers, APP_ISSUER_CURRENT);
	if (a->generations[current].chain_count == 0)
		return err_set(e, ERR_STAGE, 0,
			       "the certificate of CA generation %u, the current one, is not in state/ca", current + 1);
	set_current(a, current);
	status = app_state_configure(a, a->conf, e);
	for (unsigned g = 0; status == 0 && g < CA_GENERATIONS; g++) {
		if (a->generations[g].chain_count > 0)
			status = introduce(a, g, e);
	}
	app_generation_survey(a);
	return status;
}

void
app_generation_fini(struct app_authority *a)
{
	for (unsigned g = 0; g < CA_GENERATIONS; g++)
		generation_fini(&a->generations[g]);
	a->chain_count = 0;
}

/* ---- states ------------------------------------------------------------------------------------------------------ */

void
app_generation_adopt(struct app_authority *a, const struct app_store_request *request)
{
	unsigned current = app_issuers_find(&request->issuers, APP_ISSUER_CURRENT);
	struct err e = {0};

	a->issuers = request->issuers;
	if (current != a->current) {
		set_current(a, current);
		if (app_state_configure(a, a->conf, &e) != 0)
			log_event(CONFIG_REFUSED, log_text(e.text));
		app_publish_start(a, current);
		app_generation_survey(a);
	}
	app_internal_announce(a);
}

unsigned
app_generation_next(const struct app_authority *a)
{
	unsigned g = app_issuers_find(&a->issuers, APP_ISSUER_NEXT);

	return g < CA_GENERATIONS && a->generations[g].chain_count > 0 ? g : CA_GENERATIONS;
}

bool
app_generation_is_live(const struct app_authority *a, unsigned g)
{
	const struct app_generation *generation = &a->generations[g];

	if (generation->chain_count == 0)
		return false;
	if (g == a->current)
		return true;
	return a->issuers.of[g].state == APP_ISSUER_PREVIOUS && !generation->has_ended;
}

static void
on_end(struct app_store_request *request, void *arg)
{
	struct app_authority *a = arg;
	struct app_generation *generation = &a->generations[request->issuer];
	/* A certificate is on one CRL behind its end (RFC 5280 3.3). */
	int64_t grace = 2 * (int64_t)a->conf->ca_crl_hours * HOUR_S;

	if (request->code == 0) {
		generation->ends = request->not_after;
		if (clock_wall() > request->not_after + grace && !generation->has_ended &&
		    request->issuer != a->current) {
			generation->has_ended = true;
			log_event(CA_ENDED, request->issuer + 1);
		}
	}
	app_store_request_fini(request);
	free(request);
}

void
app_generation_survey(struct app_authority *a)
{
	for (unsigned g = 0; g < CA_GENERATIONS; g++) {
		struct app_store_request *request;

		if (a->issuers.of[g].state != APP_ISSUER_PREVIOUS || a->generations[g].has_ended)
			continue;
		request = calloc(1, sizeof(*request));
		if (request == NULL)
			return;
		request->op = APP_STORE_ISSUER_END;
		request->issuer = g;
		request->done = on_end;
		request->arg = a;
		/* Asked again tomorrow. */
		if (app_store_submit(a->store, request) != 0)
			free(request);
	}
}

/* ---- who issued what --------------------------------------------------------------------------------------------- */

/* False only when the certificate says that another key signed it. */
static bool
may_be_key(const struct x509 *cert, struct bytes key_id)
{
	struct x509_extension extension = {.critical = false};
	struct der id;
	struct view v;

	if (x509_extension_find(&cert->tbs, OID_AUTHORITY_KEY_ID, &extension) != 0 ||
	    der_whole(extension.value, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_CONTEXT(0), &id) != 0)
		return true;
	return bytes_equal(id.content, key_id);
}

static bool
has_signed(const struct app_generation *generation, const struct x509 *cert)
{
	AUTO(EVP_PKEY) key = NULL;

	if (generation->chain_count == 0 || !x509_names_issuer(cert, generation->issuer.cert.tbs.subject) ||
	    !may_be_key(cert, generation->issuer.key_id))
		return false;
	return x509_spki_key(generation->issuer.cert.tbs.spki, &key, NULL) == 0 &&
	       x509_verify(key, cert->algorithm, cert->tbs.whole, cert->signature, NULL) == 0;
}

int
app_generation_of(const struct app_authority *a, const struct x509 *cert, unsigned *ret_g)
{
	for (unsigned g = CA_GENERATIONS; g-- > 0;) {
		if (has_signed(&a->generations[g], cert)) {
			*ret_g = g;
			return 0;
		}
	}
	return ERR_UNKNOWN;
}

/* The generation whose name is that of the certificate's issuer; CA_GENERATIONS: none. */
static unsigned
named_by(const struct app_authority *a, const struct x509 *cert)
{
	unsigned g = 0;

	while (g < CA_GENERATIONS && (a->generations[g].chain_count == 0 ||
				      !x509_names_issuer(cert, a->generations[g].issuer.cert.tbs.subject)))
		g++;
	return g;
}

bool
app_generation_names(const struct app_authority *a, const struct x509 *cert)
{
	return named_by(a, cert) < CA_GENERATIONS;
}

void
app_generation_requester_hash(const struct app_authority *a, const struct x509 *signer, uint8_t ret_hash[32])
{
	unsigned g = named_by(a, signer);

	x509_requester_hash(signer, a->generations[g < CA_GENERATIONS ? g : a->current].issuer.cert.tbs.subject,
			    ret_hash);
}

/* ---- URLs -------------------------------------------------------------------------------------------------------- */

int
app_generation_url(const char *url, unsigned g, char *out, size_t size)
{
	const char *place = strstr(url, "%g");
	int len;

	if (url[0] == '\0' || (place == NULL && g == 0))
		len = snprintf(out, size, "%s", url);
	else if (place == NULL)
		len = snprintf(out, size, "%s/%u", url, g + 1);
	else
		len = snprintf(out, size, "%.*s%u%s", (int)(place - url), url, g + 1, place + 2);
	return len < 0 || (size_t)len >= size ? ERR_LIMIT : 0;
}

static int
set_url(const char *setting, const char *url, unsigned g, char *out, size_t size, struct err *e)
{
	if (app_generation_url(url, g, out, size) == 0)
		return 0;
	return err_set(e, ERR_CONFIG, 0, "%s: too long with the number of the CA's generation", setting);
}

int
app_generation_config(const struct config *conf, unsigned g, struct config *ret_conf, struct err *e)
{
	int status;

	*ret_conf = *conf;
	status = set_url("ca.crl_url", conf->ca_crl_url, g, ret_conf->ca_crl_url, sizeof(ret_conf->ca_crl_url), e);
	if (status == 0)
		status = set_url("ca.delta_url", conf->ca_delta_url, g, ret_conf->ca_delta_url,
				 sizeof(ret_conf->ca_delta_url), e);
	if (status == 0)
		status = set_url("ca.ca_url", conf->ca_ca_url, g, ret_conf->ca_ca_url, sizeof(ret_conf->ca_ca_url), e);
	return status;
}
