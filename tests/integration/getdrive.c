/*
 * getdrive - GetCert and GetCRL against a live appliance, over plain HTTP
 *
 *	getdrive ADDRESS PORT SERIALS CERT KEY CRL [CA]
 *
 * CERT is a certificate that the appliance issued, in PEM, KEY its key; the CRL that GetCRL gives is written to CRL in
 * DER.  CA is the certificate of the CA that issued CERT, in PEM, when that is not the current one.
 */
#include <openssl/pem.h>

#include "tests/lib/device.h"

enum { SUCCESS = 0, FAILURE = 2 };
enum { NONE = -1, BAD_MESSAGE_CHECK = 1, BAD_CERT_ID = 4 };

/* Asks with message type type about cert, or with the octets of plain when cert is NULL. */
static void
ask(struct device_world *w, const struct scepmsg_client *client, const char *type, X509 *cert, struct bytes plain,
    struct device_answer *ret_answer)
{
	struct bytes inside = cert != NULL ? scepmsg_issuer_serial(cert) : bytes_dup(plain);
	struct scepmsg_options options = {.message_type = type};
	struct device_answer answer = {.is_reply = false};
	struct scepmsg_request request;

	if (scepmsg_build(client, inside, &options, w->ra_decrypt, &request) != 0) {
		drive_check(false, "the message can be made");
		exit(drive_finish());
	}
	drive_post(&w->http, DEVICE_TARGET, request.der, &answer.http);
	answer.is_reply = answer.http.status == 200 && scepmsg_reply_parse(answer.http.body, client, &request,
									   w->ra_sign, &answer.reply, &answer.e) == 0;
	*ret_answer = answer;
	scepmsg_request_fini(&request);
	free((void *)inside.data);
}

static void
refused(struct device_world *w, const char *what, const char *type, X509 *cert, struct bytes plain, int fail_info)
{
	struct device_answer answer;

	ask(w, &w->clients[0], type, cert, plain, &answer);
	if (!drive_check(device_is(&answer, FAILURE, fail_info), "%s", what))
		device_note(&answer);
	device_answer_fini(&answer);
}

static void
refusals(struct device_world *w, X509 *cert)
{
	const struct bytes none = {NULL, 0}, nonsense = bytes_of_text("this is no IssuerAndSerialNumber");
	X509 *other = X509_dup(cert);

	refused(w, "GetCert for a certificate of another CA: badCertId", "21", w->clients[0].cert, none, BAD_CERT_ID);
	refused(w, "GetCRL of another CA: badCertId", "22", w->clients[0].cert, none, BAD_CERT_ID);
	refused(w, "GetCert for an RA certificate: badCertId", "21", w->ra_sign, none, BAD_CERT_ID);
	ASN1_INTEGER_set(X509_get_serialNumber(other), 1);
	refused(w, "GetCert for an unknown serial number: badCertId", "21", other, none, BAD_CERT_ID);
	refused(w, "GetCert with nonsense: badMessageCheck", "21", NULL, nonsense, BAD_MESSAGE_CHECK);
	refused(w, "GetCRL with nonsense: badMessageCheck", "22", NULL, nonsense, BAD_MESSAGE_CHECK);
	X509_free(other);
}

static void
get_cert(struct device_world *w, const struct scepmsg_client *client, const char *who, X509 *cert)
{
	struct device_answer answer;

	ask(w, client, "21", cert, (struct bytes){NULL, 0}, &answer);
	if (!drive_check(device_is(&answer, SUCCESS, NONE) && answer.reply.issued != NULL &&
				 X509_cmp(answer.reply.issued, cert) == 0,
			 "GetCert by %s: the certificate", who))
		device_note(&answer);
	device_answer_fini(&answer);
}

static void
get_crl(struct device_world *w, const struct scepmsg_client *client, const char *who, X509 *cert, X509 *issuer,
	const char *path)
{
	struct device_answer answer;
	X509_CRL *crl;
	FILE *out;

	ask(w, client, "22", cert, (struct bytes){NULL, 0}, &answer);
	crl = answer.is_reply ? sk_X509_CRL_value(answer.reply.crls, 0) : NULL;
	if (!drive_check(device_is(&answer, SUCCESS, NONE) && sk_X509_CRL_num(answer.reply.crls) == 1 &&
				 sk_X509_num(answer.reply.inner) <= 0 &&
				 X509_CRL_verify(crl, X509_get0_pubkey(issuer)) == 1,
			 "GetCRL by %s: the CRL and nothing else", who))
		device_note(&answer);
	out = fopen(path, "w");
	if (out != NULL && crl != NULL)
		i2d_X509_CRL_fp(out, crl);
	if (out != NULL)
		fclose(out);
	device_answer_fini(&answer);
}

static X509 *
read_certificate(const char *path)
{
	FILE *file = fopen(path, "r");
	X509 *cert = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

	if (file != NULL)
		fclose(file);
	return cert;
}

int
main(int argc, char **argv)
{
	struct device_world w;
	struct scepmsg_client own = {NULL, NULL};
	X509 *ca;
	FILE *file;

	if (argc != 7 && argc != 8) {
		fputs("usage: getdrive ADDRESS PORT SERIALS CERT KEY CRL [CA]\n", stderr);
		return 2;
	}
	if (device_world_init(argv[1], argv[2], argv[3], &w) != 0)
		return drive_finish();
	own.cert = read_certificate(argv[4]);
	ca = argc == 8 ? read_certificate(argv[7]) : X509_dup(w.ca);
	file = fopen(argv[5], "r");
	own.key = file != NULL ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
	if (file != NULL)
		fclose(file);
	if (drive_check(own.cert != NULL && own.key != NULL && ca != NULL, "certificates and key can be read")) {
		refusals(&w, own.cert);
		get_cert(&w, &own, "its owner", own.cert);
		get_cert(&w, &w.clients[0], "a self-signed signer", own.cert);
		get_crl(&w, &w.clients[0], "a self-signed signer", own.cert, ca, argv[6]);
		get_crl(&w, &own, "a device", own.cert, ca, argv[6]);
	}
	X509_free(ca);
	scepmsg_client_fini(&own);
	device_world_fini(&w);
	return drive_finish();
}
