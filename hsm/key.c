#include "hsm/key.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "board/base/log.h"
#include "hsm/call.h"
#include "hsm/engine.h"

CLEANUP(BIGNUM, BN_free)

enum { FIND_MAX = 8, KEY_ID_SIZE = 16 };

/* The classes that have an object of their own, and what the token shall let it do. */
static const struct {
	const char *label;
	bool decrypts;
	bool rsa_only;
} classes[KEY_CLASS_COUNT] = {
	[KEY_CA] = {"chancery-ca", false, false},
	[KEY_CRL] = {"chancery-ca", false, false},
	[KEY_RA_SIGN] = {"chancery-ra-sign", false, false},
	[KEY_RA_DECRYPT] = {"chancery-ra-decrypt", true, true},
	[KEY_POLICY] = {"chancery-policy", false, false},
	[KEY_AUDIT] = {"chancery-audit", false, false},
	[KEY_OCSP] = {"chancery-ocsp", false, false},
	[KEY_REGISTRATION] = {"chancery-registration", false, false},
};

/* rsa_bits or the DER of the curve's OID, as CKA_EC_PARAMS takes it; group is OpenSSL's name of that curve. */
static const struct {
	CK_ULONG rsa_bits;
	const char *curve;
	size_t curve_len;
	const char *group;
} algorithms[KEY_ALG_COUNT] = {
	[KEY_ALG_RSA2048] = {2048, NULL, 0, NULL},
	[KEY_ALG_RSA3072] = {3072, NULL, 0, NULL},
	[KEY_ALG_RSA4096] = {4096, NULL, 0, NULL},
	[KEY_ALG_P256] = {0, "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 10, "prime256v1"},
	[KEY_ALG_P384] = {0, "\x06\x05\x2b\x81\x04\x00\x22", 7, "secp384r1"},
};

/* The CA's later generations. */
static const char *const ca_labels[CA_GENERATIONS - 1] = {
	"chancery-ca-2",  "chancery-ca-3",  "chancery-ca-4",  "chancery-ca-5",  "chancery-ca-6",
	"chancery-ca-7",  "chancery-ca-8",  "chancery-ca-9",  "chancery-ca-10", "chancery-ca-11",
	"chancery-ca-12", "chancery-ca-13", "chancery-ca-14", "chancery-ca-15", "chancery-ca-16",
};

unsigned
hsm_key_slot(enum key_class key_class, unsigned generation)
{
	enum key_class home = key_class == KEY_CRL ? KEY_CA : key_class;

	BUG_ON((unsigned)key_class >= KEY_CLASS_COUNT || generation >= CA_GENERATIONS);
	return home != KEY_CA || generation == 0 ? (unsigned)home : KEY_CLASS_COUNT + generation - 1;
}

static enum key_class
class_of(unsigned slot)
{
	return slot < KEY_CLASS_COUNT ? (enum key_class)slot : KEY_CA;
}

const char *
hsm_key_label(unsigned slot)
{
	BUG_ON(slot >= HSM_KEY_SLOTS);
	return slot < KEY_CLASS_COUNT ? classes[slot].label : ca_labels[slot - KEY_CLASS_COUNT];
}

bool
hsm_key_alg_allowed(enum key_class key_class, enum key_alg algorithm)
{
	if ((unsigned)key_class >= KEY_CLASS_COUNT || (unsigned)algorithm >= KEY_ALG_COUNT)
		return false;
	return algorithms[algorithm].rsa_bits != 0 || !classes[key_class].rsa_only;
}

/* ---- objects ----------------------------------------------------------------------------------------------------- */

/* The objects of one kind with the class's label. */
static int
find_objects(struct hsm_token *token, unsigned slot, CK_OBJECT_CLASS kind, CK_OBJECT_HANDLE *objects, CK_ULONG *count,
	     struct err *e)
{
	const char *label = hsm_key_label(slot);
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &kind, sizeof(kind)},
		{CKA_LABEL, (void *)label, strlen(label)},
	};

	*count = FIND_MAX;
	return hsm_call_find(hsm_token_session(token), template, ARRAY_SIZE(template), objects, count, e);
}

/*
 * Is this private key an empty shell?  SoftHSM stores the object first and what belongs in it afterwards, so a crash
 * while a key was generated leaves neither modulus nor curve.  An imported key has them.
 */
static int
is_shell(struct hsm_token *token, CK_OBJECT_HANDLE object, bool *ret_shell, struct err *e)
{
	bool has_modulus = false;
	bool has_curve = false;
	int code = hsm_call_has_value(hsm_token_session(token), object, CKA_MODULUS, &has_modulus, e);

	if (code == 0 && !has_modulus)
		code = hsm_call_has_value(hsm_token_session(token), object, CKA_EC_PARAMS, &has_curve, e);
	if (code == 0)
		*ret_shell = !has_modulus && !has_curve;
	return code;
}

/* The private keys of the class: the shells, or all others. */
static int
find_private_keys(struct hsm_token *token, unsigned slot, bool shells, CK_OBJECT_HANDLE *objects, CK_ULONG *ret_count,
		  struct err *e)
{
	CK_ULONG found;
	CK_ULONG count = 0;
	bool shell = false;
	int code = find_objects(token, slot, CKO_PRIVATE_KEY, objects, &found, e);

	for (CK_ULONG i = 0; code == 0 && i < found; i++) {
		code = is_shell(token, objects[i], &shell, e);
		if (code == 0 && shell == shells)
			objects[count++] = objects[i];
	}
	*ret_count = count;
	return code;
}

/* The only private key of the class.  Fails with ERR_UNKNOWN, or ERR_DENIED when there are several. */
static int
find_private(struct hsm_token *token, unsigned slot, CK_OBJECT_HANDLE *ret_object, struct err *e)
{
	CK_OBJECT_HANDLE objects[FIND_MAX];
	CK_ULONG count;
	int code = find_private_keys(token, slot, false, objects, &count, e);

	if (code != 0)
		return code;
	if (count == 0)
		return err_set(e, ERR_UNKNOWN, 0, "the token has no private key %s", hsm_key_label(slot));
	if (count > 1)
		return err_set(e, ERR_DENIED, 0, "the token has several private keys %s", hsm_key_label(slot));
	*ret_object = objects[0];
	return 0;
}

/* ---- attributes -------------------------------------------------------------------------------------------------- */

/* What a class's private key must be.  must_exist: a token that does not know the attribute is not trusted. */
struct rule {
	CK_ATTRIBUTE_TYPE type;
	const char *name;
	bool value;
	bool must_exist;
};

static int
check_rule(struct hsm_token *token, CK_OBJECT_HANDLE object, const char *label, const struct rule *rule, struct err *e)
{
	bool value;
	bool known;
	int code = hsm_call_get_bool(hsm_token_session(token), object, rule->type, &value, &known, e);

	if (code != 0)
		return code;
	if (!known && !rule->must_exist)
		return 0;
	if (known && value == rule->value)
		return 0;
	return err_set(e, ERR_DENIED, (uint32_t)rule->type, "private key %s: %s is %s", label, rule->name,
		       !known  ? "unknown to the token"
		       : value ? "true"
			       : "false");
}

static int
check_attributes(struct hsm_token *token, unsigned slot, CK_OBJECT_HANDLE object, struct err *e)
{
	const bool decrypts = classes[class_of(slot)].decrypts;
	const struct rule rules[] = {
		{CKA_PRIVATE, "CKA_PRIVATE", true, true},
		{CKA_SENSITIVE, "CKA_SENSITIVE", true, true},
		{CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE", true, true},
		{CKA_EXTRACTABLE, "CKA_EXTRACTABLE", false, true},
		{CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE", true, true},
		{CKA_LOCAL, "CKA_LOCAL", true, true},
		{CKA_SIGN, "CKA_SIGN", !decrypts, true},
		{CKA_DECRYPT, "CKA_DECRYPT", decrypts, true},
		{CKA_SIGN_RECOVER, "CKA_SIGN_RECOVER", false, false},
		{CKA_UNWRAP, "CKA_UNWRAP", false, false},
		{CKA_DERIVE, "CKA_DERIVE", false, false},
		/* A PIN for every signature would have to be kept, and costs 6 ms (facts, hsm.md 2). */
		{CKA_ALWAYS_AUTHENTICATE, "CKA_ALWAYS_AUTHENTICATE", false, false},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		int code = check_rule(token, object, hsm_key_label(slot), &rules[i], e);

		if (code != 0)
			return code;
	}
	return 0;
}

/* ---- generating -------------------------------------------------------------------------------------------------- */

static int
remove_objects(struct hsm_token *token, unsigned slot, const CK_OBJECT_HANDLE *objects, CK_ULONG count, struct err *e)
{
	int code = 0;

	for (CK_ULONG i = 0; code == 0 && i < count; i++) {
		code = hsm_call_destroy(hsm_token_session(token), objects[i], e);
		if (code == 0)
			log_event(SIGNER_HALF_KEY, hsm_key_label(slot));
	}
	return code;
}

/*
 * SoftHSM and others store the public key first, so a crash in between leaves it alone, or with the shell of a private
 * key; without that it is of no use to anybody.
 */
static int
remove_half(struct hsm_token *token, unsigned slot, struct err *e)
{
	CK_OBJECT_HANDLE objects[FIND_MAX];
	CK_ULONG count;
	int code = find_private_keys(token, slot, true, objects, &count, e);

	if (code == 0)
		code = remove_objects(token, slot, objects, count, e);
	if (code == 0)
		code = find_objects(token, slot, CKO_PUBLIC_KEY, objects, &count, e);
	return code != 0 ? code : remove_objects(token, slot, objects, count, e);
}

static int
generate_pair(struct hsm_token *token, unsigned slot, enum key_alg algorithm, struct err *e)
{
	const char *label = hsm_key_label(slot);
	CK_BBOOL yes = CK_TRUE;
	CK_BBOOL no = CK_FALSE;
	CK_BBOOL *signs = classes[class_of(slot)].decrypts ? &no : &yes;
	CK_BBOOL *decrypts = classes[class_of(slot)].decrypts ? &yes : &no;
	CK_ULONG bits = algorithms[algorithm].rsa_bits;
	CK_BYTE exponent[] = {1, 0, 1};
	CK_BYTE id[KEY_ID_SIZE];
	CK_ATTRIBUTE public_template[] = {
		{CKA_TOKEN, &yes, sizeof(yes)},
		{CKA_PRIVATE, &no, sizeof(no)},
		{CKA_LABEL, (void *)label, strlen(label)},
		{CKA_ID, id, sizeof(id)},
		{CKA_VERIFY, signs, sizeof(*signs)},
		{CKA_ENCRYPT, decrypts, sizeof(*decrypts)},
		{CKA_WRAP, &no, sizeof(no)},
		{CKA_EC_PARAMS, (void *)algorithms[algorithm].curve, algorithms[algorithm].curve_len},
		{CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent)},
	};
	CK_ATTRIBUTE private_template[] = {
		{CKA_TOKEN, &yes, sizeof(yes)},
		{CKA_PRIVATE, &yes, sizeof(yes)},
		{CKA_SENSITIVE, &yes, sizeof(yes)},
		{CKA_EXTRACTABLE, &no, sizeof(no)},
		{CKA_LABEL, (void *)label, strlen(label)},
		{CKA_ID, id, sizeof(id)},
		{CKA_SIGN, signs, sizeof(*signs)},
		{CKA_DECRYPT, decrypts, sizeof(*decrypts)},
		{CKA_SIGN_RECOVER, &no, sizeof(no)},
		{CKA_UNWRAP, &no, sizeof(no)},
		{CKA_DERIVE, &no, sizeof(no)},
	};
	const CK_ULONG public_count = ARRAY_SIZE(public_template);

	if (RAND_bytes(id, sizeof(id)) != 1)
		return err_set_ossl(e, ERR_CRYPTO, "random key id");
	if (bits != 0) {
		public_template[public_count - 2] = (CK_ATTRIBUTE){CKA_MODULUS_BITS, &bits, sizeof(bits)};
		return hsm_call_generate(hsm_token_session(token), CKM_RSA_PKCS_KEY_PAIR_GEN, public_template,
					 public_count, private_template, ARRAY_SIZE(private_template), e);
	}
	/* The exponent, last in the list, is RSA's. */
	return hsm_call_generate(hsm_token_session(token), CKM_EC_KEY_PAIR_GEN, public_template, public_count - 1,
				 private_template, ARRAY_SIZE(private_template), e);
}

int
hsm_key_generate(struct hsm_token *token, unsigned slot, enum key_alg algorithm, struct err *e)
{
	CK_OBJECT_HANDLE objects[FIND_MAX];
	CK_ULONG count;
	int code;

	if (!hsm_key_alg_allowed(class_of(slot), algorithm))
		return err_set(e, ERR_ALG, 0, "a key of this class cannot have that algorithm");
	code = find_private_keys(token, slot, false, objects, &count, e);
	if (code != 0)
		return code;
	if (count > 0)
		return err_set(e, ERR_EXISTS, 0, "the token has a private key %s", hsm_key_label(slot));
	code = remove_half(token, slot, e);
	if (code == 0)
		code = generate_pair(token, slot, algorithm, e);
	if (code == 0)
		log_event(SIGNER_KEY_MADE, hsm_key_label(slot), msg_key_alg_name(algorithm));
	return code;
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

static int
take_modulus(struct hsm_key *key)
{
	AUTO(BIGNUM) n = NULL;

	if (EVP_PKEY_get_bn_param(key->public_key, OSSL_PKEY_PARAM_RSA_N, &n) != 1 || BN_num_bytes(n) > HSM_KEY_RSA_MAX)
		return ERR_ALG;
	key->modulus_len = (size_t)BN_bn2bin(n, key->modulus);
	return 0;
}

/* Finds the algorithm of key->public_key in our list. */
static int
classify(struct hsm_key *key)
{
	char group[64] = "";
	CK_ULONG rsa_bits = 0;
	int i;

	if (EVP_PKEY_get_base_id(key->public_key) == EVP_PKEY_RSA)
		rsa_bits = (CK_ULONG)EVP_PKEY_get_bits(key->public_key);
	else if (EVP_PKEY_get_group_name(key->public_key, group, sizeof(group), NULL) != 1)
		return ERR_ALG;
	for (i = 0; i < KEY_ALG_COUNT; i++) {
		const char *name = algorithms[i].group;

		if (rsa_bits != 0 ? rsa_bits == algorithms[i].rsa_bits : name != NULL && strcmp(name, group) == 0) {
			key->algorithm = (enum key_alg)i;
			return hsm_key_alg_allowed(key->key_class, key->algorithm) ? 0 : ERR_ALG;
		}
	}
	return ERR_ALG;
}

/* Round-trips the public half through DER, so that nothing of the engine sticks to it. */
static int
take_public(struct hsm_key *key, struct err *e)
{
	const char *label = hsm_key_label(key->slot);
	unsigned char *der = NULL;
	const unsigned char *end;
	int len = i2d_PUBKEY(key->private_key, &der);
	int code;

	if (len <= 0)
		return err_set_ossl(e, ERR_TOKEN, "public key of %s", label);
	key->spki = (struct bytes){der, (size_t)len};
	end = der;
	key->public_key = d2i_PUBKEY(NULL, &end, len);
	if (key->public_key == NULL)
		return err_set_ossl(e, ERR_TOKEN, "public key of %s", label);
	code = classify(key);
	if (code == 0 && EVP_PKEY_get_base_id(key->public_key) == EVP_PKEY_RSA)
		code = take_modulus(key);
	return code == 0 ? 0 : err_set(e, code, 0, "key %s has an algorithm that is not for its class", label);
}

int
hsm_key_load(struct hsm_token *token, unsigned slot, struct hsm_key **ret_key, struct err *e)
{
	AUTO_STRUCT(hsm_key) key = NULL;
	CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
	int code = find_private(token, slot, &object, e);

	if (code == 0)
		code = check_attributes(token, slot, object, e);
	if (code != 0)
		return code;
	key = calloc(1, sizeof(*key));
	if (key == NULL)
		return err_set(e, ERR_NOMEM, 0, "key");
	key->slot = slot;
	key->key_class = class_of(slot);
	key->raw_rsa = hsm_call_has_mechanism(hsm_token_slot(token), CKM_RSA_X_509, CKF_DECRYPT);
	code = hsm_engine_load(hsm_token_name(token), hsm_key_label(slot), &key->private_key, e);
	if (code == 0)
		code = take_public(key, e);
	if (code != 0)
		return code;
	*ret_key = TAKE(key);
	return 0;
}

void
hsm_key_free(struct hsm_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->private_key);
	EVP_PKEY_free(key->public_key);
	OPENSSL_free((void *)key->spki.data);
	free(key);
}
