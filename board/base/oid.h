/*
 * board/base/oid - content octets of the object identifiers we write and compare
 */
#ifndef BOARD_BASE_OID_H
#define BOARD_BASE_OID_H

#include "board/base/buf.h"

#define OID_BYTES(s) ((struct bytes){(const uint8_t *)(s), sizeof(s) - 1})

/* Keys and signatures */
#define OID_RSA_ENCRYPTION OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")
#define OID_RSAES_OAEP     OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07")
#define OID_MGF1           OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08")
#define OID_RSASSA_PSS     OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a")
#define OID_MD5_RSA        OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04")
#define OID_SHA1_RSA       OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05")
#define OID_SHA256_RSA     OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b")
#define OID_SHA384_RSA     OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c")
#define OID_SHA512_RSA     OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d")
#define OID_EC_PUBLIC_KEY  OID_BYTES("\x2a\x86\x48\xce\x3d\x02\x01")
#define OID_P256           OID_BYTES("\x2a\x86\x48\xce\x3d\x03\x01\x07")
#define OID_P384           OID_BYTES("\x2b\x81\x04\x00\x22")
#define OID_P521           OID_BYTES("\x2b\x81\x04\x00\x23")
#define OID_ECDSA_SHA1     OID_BYTES("\x2a\x86\x48\xce\x3d\x04\x01")
#define OID_ECDSA_SHA256   OID_BYTES("\x2a\x86\x48\xce\x3d\x04\x03\x02")
#define OID_ECDSA_SHA384   OID_BYTES("\x2a\x86\x48\xce\x3d\x04\x03\x03")
#define OID_ECDSA_SHA512   OID_BYTES("\x2a\x86\x48\xce\x3d\x04\x03\x04")

/* Digests and ciphers */
#define OID_SHA1       OID_BYTES("\x2b\x0e\x03\x02\x1a")
#define OID_SHA256     OID_BYTES("\x60\x86\x48\x01\x65\x03\x04\x02\x01")
#define OID_SHA384     OID_BYTES("\x60\x86\x48\x01\x65\x03\x04\x02\x02")
#define OID_SHA512     OID_BYTES("\x60\x86\x48\x01\x65\x03\x04\x02\x03")
#define OID_DES_CBC    OID_BYTES("\x2b\x0e\x03\x02\x07")
#define OID_DES3_CBC   OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x03\x07")
#define OID_AES128_CBC OID_BYTES("\x60\x86\x48\x01\x65\x03\x04\x01\x02")
#define OID_AES192_CBC OID_BYTES("\x60\x86\x48\x01\x65\x03\x04\x01\x16")
#define OID_AES256_CBC OID_BYTES("\x60\x86\x48\x01\x65\x03\x04\x01\x2a")

/* CMS */
#define OID_DATA           OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01")
#define OID_SIGNED_DATA    OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")
#define OID_ENVELOPED_DATA OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03")
#define OID_CONTENT_TYPE   OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03")
#define OID_MESSAGE_DIGEST OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04")
#define OID_SIGNING_TIME   OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05")

/* PKCS#9 in requests */
#define OID_CHALLENGE_PASSWORD   OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07")
#define OID_EXTENSION_REQUEST    OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e")
#define OID_MS_NAME_VALUE_PAIR   OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x0d\x02\x01")
#define OID_MS_EXTENSION_REQUEST OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x02\x01\x0e")

/* SCEP attributes (RFC 8894 3.2.1) */
#define OID_SCEP_MESSAGE_TYPE    OID_BYTES("\x60\x86\x48\x01\x86\xf8\x45\x01\x09\x02")
#define OID_SCEP_PKI_STATUS      OID_BYTES("\x60\x86\x48\x01\x86\xf8\x45\x01\x09\x03")
#define OID_SCEP_FAIL_INFO       OID_BYTES("\x60\x86\x48\x01\x86\xf8\x45\x01\x09\x04")
#define OID_SCEP_SENDER_NONCE    OID_BYTES("\x60\x86\x48\x01\x86\xf8\x45\x01\x09\x05")
#define OID_SCEP_RECIPIENT_NONCE OID_BYTES("\x60\x86\x48\x01\x86\xf8\x45\x01\x09\x06")
#define OID_SCEP_TRANSACTION_ID  OID_BYTES("\x60\x86\x48\x01\x86\xf8\x45\x01\x09\x07")
#define OID_SCEP_FAIL_INFO_TEXT  OID_BYTES("\x2b\x06\x01\x05\x05\x07\x18\x01")

/* Microsoft's in answers (facts, microsoft.md 1.11) */
#define OID_MS_SCEP_ERROR          OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x15\x21")
#define OID_MS_SCEP_SERVER_MESSAGE OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x15\x26")

/* Certificate extensions */
#define OID_SUBJECT_KEY_ID          OID_BYTES("\x55\x1d\x0e")
#define OID_KEY_USAGE               OID_BYTES("\x55\x1d\x0f")
#define OID_SUBJECT_ALT_NAME        OID_BYTES("\x55\x1d\x11")
#define OID_BASIC_CONSTRAINTS       OID_BYTES("\x55\x1d\x13")
#define OID_CRL_NUMBER              OID_BYTES("\x55\x1d\x14")
#define OID_REASON_CODE             OID_BYTES("\x55\x1d\x15")
#define OID_INVALIDITY_DATE         OID_BYTES("\x55\x1d\x18")
#define OID_DELTA_CRL_INDICATOR     OID_BYTES("\x55\x1d\x1b")
#define OID_FRESHEST_CRL            OID_BYTES("\x55\x1d\x2e")
#define OID_CRL_DISTRIBUTION_POINTS OID_BYTES("\x55\x1d\x1f")
#define OID_AUTHORITY_KEY_ID        OID_BYTES("\x55\x1d\x23")
#define OID_EXT_KEY_USAGE           OID_BYTES("\x55\x1d\x25")
#define OID_AUTHORITY_INFO_ACCESS   OID_BYTES("\x2b\x06\x01\x05\x05\x07\x01\x01")
#define OID_AD_CA_ISSUERS           OID_BYTES("\x2b\x06\x01\x05\x05\x07\x30\x02")
#define OID_AD_OCSP                 OID_BYTES("\x2b\x06\x01\x05\x05\x07\x30\x01")
#define OID_OCSP_BASIC              OID_BYTES("\x2b\x06\x01\x05\x05\x07\x30\x01\x01")
#define OID_OCSP_NOCHECK            OID_BYTES("\x2b\x06\x01\x05\x05\x07\x30\x01\x05")
#define OID_KP_OCSP_SIGNING         OID_BYTES("\x2b\x06\x01\x05\x05\x07\x03\x09")
#define OID_KP_SERVER_AUTH          OID_BYTES("\x2b\x06\x01\x05\x05\x07\x03\x01")
#define OID_KP_CLIENT_AUTH          OID_BYTES("\x2b\x06\x01\x05\x05\x07\x03\x02")

/* Microsoft's user principal name, an otherName */
#define OID_USER_PRINCIPAL_NAME OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03")

/* Microsoft's certificate extensions, and what is inside the last one */
#define OID_MS_TEMPLATE_NAME        OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x14\x02")
#define OID_MS_TEMPLATE_INFO        OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x15\x07")
#define OID_MS_APPLICATION_POLICIES OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x15\x0a")
#define OID_MS_NTDS_CA_SECURITY     OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x19\x02")
#define OID_MS_NTDS_OBJECT_SID      OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x19\x02\x01")

/* RDN types */
#define OID_COMMON_NAME         OID_BYTES("\x55\x04\x03")
#define OID_SERIAL_NUMBER       OID_BYTES("\x55\x04\x05")
#define OID_COUNTRY             OID_BYTES("\x55\x04\x06")
#define OID_LOCALITY            OID_BYTES("\x55\x04\x07")
#define OID_STATE               OID_BYTES("\x55\x04\x08")
#define OID_ORGANIZATION        OID_BYTES("\x55\x04\x0a")
#define OID_ORGANIZATIONAL_UNIT OID_BYTES("\x55\x04\x0b")
#define OID_DOMAIN_COMPONENT    OID_BYTES("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19")
#define OID_USER_ID             OID_BYTES("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01")
#define OID_EMAIL_ADDRESS       OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01")

#endif
