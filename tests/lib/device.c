#include "tests/lib/device.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

static void
cert_sort(struct device_world *w, X509 *cert)
{
	X509 **place = &w->ca;

	if (X509_check_ca(cert) == 0)
		place = (X509_get_key_usage(cert) & KU_KEY_ENCIPHERMENT) != 0 ? &w->ra_decrypt : &w->ra_sign;
	if (*place == NULL && X509_up_ref(cert) == 1)
		*place = cert;
}

static int
certs_fetch(struct device_world *w)
{
	struct drive_answer answer;
	STACK_OF(X509) *certs = NULL;
	const unsigned char *p;
	PKCS7 *p7;
	int i;

	drive_get(&w->http, "/scep?operation=GetCACert", &answer);
	if (answer.status != 200 || strcmp(answer.type, "application/x-x509-ca-ra-cert") != 0)
		return -1;
	p = answer.body.data;
	p7 = d2i_PKCS7(NULL, &p, (long)answer.body.len);
	if (p7 != NULL && PKCS7_type_is_signed(p7))
		certs = p7->d.sign->cert;
	for (i = 0; i < sk_X509_num(certs); i++)
		cert_sort(w, sk_X509_value(certs, i));
	PKCS7_free(p7);
	return w->ca != NULL && w->ra_sign != NULL && w->ra_decrypt != NULL ? 0 : -1;
}

int
device_world_init(const char *address, const char *port, const char *serials, struct device_world *ret_world)
{
	struct device_world w = {.http = {.address = address, .port = atoi(port), .fd = -1}, .number = 1};
	size_t i;

	w.serials = fopen(serials, "a");
	if (w.serials == NULL || certs_fetch(&w) != 0) {
		drive_check(false, "GetCACert gives the CA and RA certificates");
		device_world_fini(&w);
		return -1;
	}
	for (i = 0; i < DEVICE_CLIENTS; i++) {
		if (scepmsg_client_new(2048, &w.clients[i]) != 0) {
			drive_check(false, "a key can be made");
			device_world_fini(&w);
			return -1;
		}
	}
	*ret_world = w;
	return 0;
}

void
device_world_fini(struct device_world *w)
{
	size_t i;

	drive_close(&w->http);
	X509_free(w->ca);
	X509_free(w->ra_sign);
	X509_free(w->ra_decrypt);
	for (i = 0; i < DEVICE_CLIENTS; i++)
		scepmsg_client_fini(&w->clients[i]);
	if (w->serials != NULL)
		fclose(w->serials);
}

void
device_challenge(char *out, size_t size)
{
	if (fgets(out, (int)size, stdin) == NULL) {
		drive_check(false, "there are enough challenges on standard input");
		exit(drive_finish());
	}
	out[strcspn(out, "\r\n")] = '\0';
}

/* A certificate for the client's key, signed by the CA; its serial number goes to the list once. */
static int
issued_check(struct device_world *w, const struct scepmsg_client *client, X509 *cert, struct err *e)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	char *hex = BN_bn2hex(number);

	if (strcmp(hex, w->last_serial) != 0)
		fprintf(w->serials, "%s\n", hex);
	fflush(w->serials);
	snprintf(w->last_serial, sizeof(w->last_serial), "%s", hex);
	OPENSSL_free(hex);
	BN_free(number);
	if (X509_verify(cert, X509_get0_pubkey(w->ca)) != 1)
		return err_set_ossl(e, ERR_VERIFY, "the certificate is not signed by the CA");
	if (EVP_PKEY_eq(X509_get0_pubkey(cert), client->key) != 1)
		return err_set(e, ERR_VERIFY, 0, "the certificate is for another key");
	return 0;
}

void
device_take(struct device_world *w, const struct scepmsg_client *client, const struct scepmsg_request *request,
	    const struct drive_answer *http, struct device_answer *ret_answer)
{
	struct device_answer answer = {.http = *http};

	if (http->status == 200 && strcmp(http->type, DEVICE_TYPE) == 0 &&
	    scepmsg_reply_parse(http->body, client, request, w->ra_sign, &answer.reply, &answer.e) == 0)
		answer.is_reply = true;
	if (answer.is_reply && answer.reply.pki_status == 0 &&
	    issued_check(w, client, answer.reply.issued, &answer.e) != 0) {
		scepmsg_reply_fini(&answer.reply);
		answer.is_reply = false;
	}
	*ret_answer = answer;
}

void
device_post(struct device_world *w, const struct scepmsg_client *client, const struct scepmsg_request *request,
	    struct device_answer *ret_answer)
{
	struct drive_answer http;

	drive_post(&w->http, DEVICE_TARGET, request->der, &http);
	device_take(w, client, request, &http, ret_answer);
}

void
device_answer_fini(struct device_answer *answer)
{
	if (answer->is_reply)
		scepmsg_reply_fini(&answer->reply);
	answer->is_reply = false;
}

bool
device_is(const struct device_answer *answer, int pki_status, int fail_info)
{
	return answer->is_reply && answer->reply.pki_status == pki_status && answer->reply.fail_info == fail_info &&
	       answer->reply.has_sender_nonce;
}

void
device_note(const struct device_answer *answer)
{
	if (answer->is_reply)
		drive_note("seen: pkiStatus %d, failInfo %d, \"%s\"", answer->reply.pki_status, answer->reply.fail_info,
			   answer->reply.text);
	else
		drive_note("seen: HTTP %d, Content-Type \"%s\", %zu octets%s%s", answer->http.status, answer->http.type,
			   answer->http.body.len, answer->e.text[0] != '\0' ? ": " : "", answer->e.text);
}
