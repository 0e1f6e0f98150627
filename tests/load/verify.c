#include "tests/load/verify.h"

CLEANUP(X509, X509_free)

static int
issued_check(const struct prepared *p, const struct job *job, X509 *issued, struct err *e)
{
	if (issued == NULL)
		return err_set(e, ERR_FORMAT, 0, "a certificate is missing");
	if (EVP_PKEY_eq(X509_get0_pubkey(issued), job->key) != 1)
		return err_set(e, ERR_VERIFY, 0, "the certificate is for another key");
	if (X509_verify(issued, X509_get0_pubkey(p->ca)) != 1)
		return err_set_ossl(e, ERR_VERIFY, "the certificate is not of this CA");
	return 0;
}

int
verify_answer(const struct prepared *p, const struct job *job, X509 **ret_issued, struct err *e)
{
	struct scepmsg_reply reply;
	int status = scepmsg_reply_parse(job->answer, job->client, &job->request, p->ra_sign, &reply, e);

	if (status != 0)
		return status;
	if (job->want == WANT_SUCCESS)
		status = issued_check(p, job, reply.issued, e);
	if (status == 0 && reply.issued != NULL && X509_up_ref(reply.issued) == 1)
		*ret_issued = reply.issued;
	scepmsg_reply_fini(&reply);
	return status;
}

struct verify_result
verify_answers(const struct prepared *p)
{
	struct verify_result result = {.good = 0};

	for (size_t i = 0; i < p->job_count; i++) {
		AUTO(X509) issued = NULL;

		if (p->jobs[i].answer.len == 0)
			continue;
		if (verify_answer(p, &p->jobs[i], &issued, &result.first) == 0)
			result.good++;
		else
			result.wrong++;
	}
	return result;
}
