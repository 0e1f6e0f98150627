/*
 * tests/lib/tbs - structures to be signed, right ones and wrong ones
 *
 * Threads:  one.
 */
#ifndef TESTS_LIB_TBS_H
#define TESTS_LIB_TBS_H

#include <stdbool.h>
#include <stdint.h>

#include "board/base/buf.h"

/* What a TBSCertificate says.  tbs_plan() gives an honest end entity, from which a test departs. */
struct tbs_plan {
	int version;         /* as encoded; 0: left out */
	struct bytes serial; /* content of the INTEGER */
	struct bytes algorithm;
	struct bytes issuer;
	struct bytes subject;
	struct bytes spki;
	int64_t not_before;
	int64_t not_after;
	bool ca;                       /* basicConstraints with CA:TRUE, else an empty one */
	int key_usage;                 /* first octet of the bits */
	struct bytes authority_key_id; /* empty: no extension */
	struct bytes subject_key_id;   /* empty: no extension */
	bool twice;                    /* keyUsage twice */
	bool bare;                     /* neither basicConstraints nor keyUsage */
	struct bytes extra;            /* OID of one more extension; empty: none */
	struct bytes extra_value;      /* DER */
	struct bytes more;             /* extensions, whole, as they shall stand there; empty: none */
};

/* A certificate of one day from now, serial 0x4711; the other bytes are borrowed. */
struct tbs_plan tbs_plan(struct bytes alg, struct bytes issuer, struct bytes subject, struct bytes spki, int64_t now);

/* Appends the TBSCertificate. */
void tbs_put(struct buf *out, const struct tbs_plan *plan);

/* What a TBSCertList says: one entry, CRL number 1. */
struct crl_plan {
	int version; /* as encoded; 0: left out */
	struct bytes algorithm;
	struct bytes issuer;
	int64_t this_update;
	int64_t next_update;           /* 0: left out */
	struct bytes extra;            /* OID of one more extension, with an INTEGER; empty: none */
	bool critical;                 /* that one is */
	struct bytes authority_key_id; /* empty: no extension */
};

/* Appends the TBSCertList. */
void tbs_crl_put(struct buf *out, const struct crl_plan *plan);

/* Appends a CertificationRequestInfo with this version. */
void tbs_request_put(struct buf *out, unsigned version, struct bytes name, struct bytes spki);

/* Appends the signed attributes of a SCEP message, without messageType if that is false. */
void tbs_attributes_put(struct buf *out, bool message_type);

/* The same with one more, of this type and with this whole value. */
void tbs_attributes_put_more(struct buf *out, struct bytes oid, struct bytes value);

/* Appends the signed attributes of a CMS message that is not SCEP's (RFC 8894 4.7.1). */
void tbs_announcement_put(struct buf *out);

/* Appends SEQUENCE { tbs, algorithm, BIT STRING signature }. */
void tbs_join(struct buf *out, struct bytes tbs, struct bytes algorithm, struct bytes signature);

#endif
