#include "hsm/call.h"

#include <dlfcn.h>
#include <string.h>

#include "board/base/clock.h"
#include "board/base/log.h"

/* The module of this process. */
static CK_FUNCTION_LIST *module;

static const struct {
	unsigned long rv;
	const char *name;
} names[] = {
#define NAME(rv)                                                                                                       \
	{                                                                                                              \
		rv, #rv                                                                                                \
	}
	NAME(CKR_OK),
	NAME(CKR_CANCEL),
	NAME(CKR_HOST_MEMORY),
	NAME(CKR_SLOT_ID_INVALID),
	NAME(CKR_GENERAL_ERROR),
	NAME(CKR_FUNCTION_FAILED),
	NAME(CKR_ARGUMENTS_BAD),
	NAME(CKR_NO_EVENT),
	NAME(CKR_NEED_TO_CREATE_THREADS),
	NAME(CKR_CANT_LOCK),
	NAME(CKR_ATTRIBUTE_READ_ONLY),
	NAME(CKR_ATTRIBUTE_SENSITIVE),
	NAME(CKR_ATTRIBUTE_TYPE_INVALID),
	NAME(CKR_ATTRIBUTE_VALUE_INVALID),
	NAME(CKR_ACTION_PROHIBITED),
	NAME(CKR_DATA_INVALID),
	NAME(CKR_DATA_LEN_RANGE),
	NAME(CKR_DEVICE_ERROR),
	NAME(CKR_DEVICE_MEMORY),
	NAME(CKR_DEVICE_REMOVED),
	NAME(CKR_ENCRYPTED_DATA_INVALID),
	NAME(CKR_ENCRYPTED_DATA_LEN_RANGE),
	NAME(CKR_FUNCTION_CANCELED),
	NAME(CKR_FUNCTION_NOT_PARALLEL),
	NAME(CKR_FUNCTION_NOT_SUPPORTED),
	NAME(CKR_KEY_HANDLE_INVALID),
	NAME(CKR_KEY_SIZE_RANGE),
	NAME(CKR_KEY_TYPE_INCONSISTENT),
	NAME(CKR_KEY_NOT_NEEDED),
	NAME(CKR_KEY_CHANGED),
	NAME(CKR_KEY_NEEDED),
	NAME(CKR_KEY_INDIGESTIBLE),
	NAME(CKR_KEY_FUNCTION_NOT_PERMITTED),
	NAME(CKR_KEY_NOT_WRAPPABLE),
	NAME(CKR_KEY_UNEXTRACTABLE),
	NAME(CKR_MECHANISM_INVALID),
	NAME(CKR_MECHANISM_PARAM_INVALID),
	NAME(CKR_OBJECT_HANDLE_INVALID),
	NAME(CKR_OPERATION_ACTIVE),
	NAME(CKR_OPERATION_NOT_INITIALIZED),
	NAME(CKR_PIN_INCORRECT),
	NAME(CKR_PIN_INVALID),
	NAME(CKR_PIN_LEN_RANGE),
	NAME(CKR_PIN_EXPIRED),
	NAME(CKR_PIN_LOCKED),
	NAME(CKR_SESSION_CLOSED),
	NAME(CKR_SESSION_COUNT),
	NAME(CKR_SESSION_HANDLE_INVALID),
	NAME(CKR_SESSION_PARALLEL_NOT_SUPPORTED),
	NAME(CKR_SESSION_READ_ONLY),
	NAME(CKR_SESSION_EXISTS),
	NAME(CKR_SESSION_READ_ONLY_EXISTS),
	NAME(CKR_SESSION_READ_WRITE_SO_EXISTS),
	NAME(CKR_SIGNATURE_INVALID),
	NAME(CKR_SIGNATURE_LEN_RANGE),
	NAME(CKR_TEMPLATE_INCOMPLETE),
	NAME(CKR_TEMPLATE_INCONSISTENT),
	NAME(CKR_TOKEN_NOT_PRESENT),
	NAME(CKR_TOKEN_NOT_RECOGNIZED),
	NAME(CKR_TOKEN_WRITE_PROTECTED),
	NAME(CKR_UNWRAPPING_KEY_SIZE_RANGE),
	NAME(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT),
	NAME(CKR_USER_ALREADY_LOGGED_IN),
	NAME(CKR_USER_NOT_LOGGED_IN),
	NAME(CKR_USER_PIN_NOT_INITIALIZED),
	NAME(CKR_USER_TYPE_INVALID),
	NAME(CKR_USER_ANOTHER_ALREADY_LOGGED_IN),
	NAME(CKR_USER_TOO_MANY_TYPES),
	NAME(CKR_WRAPPED_KEY_INVALID),
	NAME(CKR_WRAPPED_KEY_LEN_RANGE),
	NAME(CKR_WRAPPING_KEY_HANDLE_INVALID),
	NAME(CKR_WRAPPING_KEY_SIZE_RANGE),
	NAME(CKR_WRAPPING_KEY_TYPE_INCONSISTENT),
	NAME(CKR_RANDOM_SEED_NOT_SUPPORTED),
	NAME(CKR_RANDOM_NO_RNG),
	NAME(CKR_DOMAIN_PARAMS_INVALID),
	NAME(CKR_CURVE_NOT_SUPPORTED),
	NAME(CKR_BUFFER_TOO_SMALL),
	NAME(CKR_SAVED_STATE_INVALID),
	NAME(CKR_INFORMATION_SENSITIVE),
	NAME(CKR_STATE_UNSAVEABLE),
	NAME(CKR_CRYPTOKI_NOT_INITIALIZED),
	NAME(CKR_CRYPTOKI_ALREADY_INITIALIZED),
	NAME(CKR_MUTEX_BAD),
	NAME(CKR_MUTEX_NOT_LOCKED),
	NAME(CKR_NEW_PIN_MODE),
	NAME(CKR_NEXT_OTP),
	NAME(CKR_EXCEEDED_MAX_ITERATIONS),
	NAME(CKR_FIPS_SELF_TEST_FAILED),
	NAME(CKR_LIBRARY_LOAD_FAILED),
	NAME(CKR_PIN_TOO_WEAK),
	NAME(CKR_PUBLIC_KEY_INVALID),
	NAME(CKR_FUNCTION_REJECTED),
#undef NAME
};

const char *
hsm_call_rv_name(unsigned long rv)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].rv == rv)
			return names[i].name;
	}
	return "CKR_?";
}

int
hsm_call_code(unsigned long rv)
{
	switch (rv) {
	case CKR_OK:
		return 0;
	case CKR_PIN_INCORRECT:
	case CKR_PIN_INVALID:
	case CKR_PIN_LEN_RANGE:
	case CKR_PIN_EXPIRED:
	case CKR_PIN_LOCKED:
	case CKR_PIN_TOO_WEAK:
	case CKR_USER_PIN_NOT_INITIALIZED:
		return ERR_PIN;
	case CKR_HOST_MEMORY:
		return ERR_NOMEM;
	default:
		return ERR_TOKEN;
	}
}

static int
finish_as(int code, const char *function, int64_t start_us, CK_RV rv, struct err *e)
{
	log_event(SIGNER_CALL, function, (long long)(clock_mono_us() - start_us), hsm_call_rv_name(rv));
	if (rv == CKR_OK)
		return 0;
	return err_set(e, code, (uint32_t)rv, "%s: %s", function, hsm_call_rv_name(rv));
}

/* Ends a call that takes a PIN: trace, and the error if there was one. */
static int
finish_pin(const char *function, int64_t start_us, CK_RV rv, struct err *e)
{
	return finish_as(hsm_call_code(rv), function, start_us, rv, e);
}

/*
 * Ends every other call.  Whatever it says of a PIN, none was sent: the signer may start again, and if the PIN is bad
 * the login will tell.
 */
static int
finish(const char *function, int64_t start_us, CK_RV rv, struct err *e)
{
	return finish_as(rv == CKR_HOST_MEMORY ? ERR_NOMEM : ERR_TOKEN, function, start_us, rv, e);
}

/* CALL(function, arguments) evaluates to 0 or ERR_*, with "e" in scope. */
#define CALL(function, ...)                                                                                            \
	__extension__({                                                                                                \
		int64_t start_ = clock_mono_us();                                                                      \
		CK_RV rv_ = module->function(__VA_ARGS__);                                                             \
		finish(#function, start_, rv_, e);                                                                     \
	})

int
hsm_call_open(const char *path, struct err *e)
{
	CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
	CK_RV (*get_list)(CK_FUNCTION_LIST * *list);
	int64_t start = clock_mono_us();
	CK_FUNCTION_LIST *list = NULL;
	void *library;
	CK_RV rv;

	library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (library == NULL)
		return err_set(e, ERR_CONFIG, 0, "PKCS#11 module: %s", dlerror());
	*(void **)&get_list = dlsym(library, "C_GetFunctionList");
	if (get_list == NULL || get_list(&list) != CKR_OK || list == NULL)
		return err_set(e, ERR_CONFIG, 0, "%s is not a PKCS#11 module", path);
	rv = list->C_Initialize(&arguments);
	if (rv == CKR_CRYPTOKI_ALREADY_INITIALIZED)
		rv = CKR_OK;
	module = list;
	return finish("C_Initialize", start, rv, e);
}

int
hsm_call_slots(CK_SLOT_ID *slots, CK_ULONG *count, struct err *e)
{
	CK_ULONG there = 0;
	int code;

	/* Asking for the number alone first also makes modules look for new tokens (PKCS#11 2.40, 5.5). */
	code = CALL(C_GetSlotList, CK_TRUE, NULL, &there);
	if (code != 0)
		return code;
	if (there > *count)
		return err_set(e, ERR_TOKEN, 0, "the module has %lu tokens; at most %lu are looked at", there, *count);
	return CALL(C_GetSlotList, CK_TRUE, slots, count);
}

int
hsm_call_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *ret_info, struct err *e)
{
	return CALL(C_GetTokenInfo, slot, ret_info);
}

bool
hsm_call_has_mechanism(CK_SLOT_ID slot, CK_MECHANISM_TYPE mechanism, CK_FLAGS flags)
{
	CK_MECHANISM_INFO info = {0};
	struct err *e = NULL;

	return CALL(C_GetMechanismInfo, slot, mechanism, &info) == 0 && (info.flags & flags) == flags;
}

int
hsm_call_init_token(CK_SLOT_ID slot, struct bytes so_pin, const char *label, struct err *e)
{
	CK_UTF8CHAR padded[32];
	size_t len = strlen(label);
	int64_t start;
	CK_RV rv;

	memset(padded, ' ', sizeof(padded));
	memcpy(padded, label, len < sizeof(padded) ? len : sizeof(padded));
	start = clock_mono_us();
	rv = module->C_InitToken(slot, (CK_UTF8CHAR *)so_pin.data, so_pin.len, padded);
	return finish_pin("C_InitToken", start, rv, e);
}

int
hsm_call_open_session(CK_SLOT_ID slot, bool writable, CK_SESSION_HANDLE *ret_session, struct err *e)
{
	CK_FLAGS flags = CKF_SERIAL_SESSION | (writable ? CKF_RW_SESSION : 0);

	return CALL(C_OpenSession, slot, flags, NULL, NULL, ret_session);
}

int
hsm_call_close_session(CK_SESSION_HANDLE session, struct err *e)
{
	return CALL(C_CloseSession, session);
}

/*
 * Does this answer to C_Login say that the token was not reached, or not ready, so that it did not judge the PIN?  Then
 * another try is harmless.  Of all others, vendors' own codes among them, nobody knows (decisions/022).
 */
static bool
is_pin_untouched(CK_RV rv)
{
	switch (rv) {
	case CKR_CANCEL:
	case CKR_FUNCTION_REJECTED:
	case CKR_ACTION_PROHIBITED:
	case CKR_USER_TYPE_INVALID:
	case CKR_USER_ANOTHER_ALREADY_LOGGED_IN:
	case CKR_USER_TOO_MANY_TYPES:
		return false;
	default:
		return rv < CKR_VENDOR_DEFINED && hsm_call_code(rv) != ERR_PIN;
	}
}

int
hsm_call_login(CK_SESSION_HANDLE session, CK_USER_TYPE user, struct bytes pin, struct err *e)
{
	int64_t start = clock_mono_us();
	CK_RV rv = module->C_Login(session, user, (CK_UTF8CHAR *)pin.data, pin.len);

	if (rv == CKR_USER_ALREADY_LOGGED_IN)
		rv = CKR_OK;
	if (rv == CKR_OK || is_pin_untouched(rv))
		return finish("C_Login", start, rv, e);
	return finish_as(ERR_PIN, "C_Login", start, rv, e);
}

int
hsm_call_logout(CK_SESSION_HANDLE session, struct err *e)
{
	return CALL(C_Logout, session);
}

int
hsm_call_init_pin(CK_SESSION_HANDLE session, struct bytes pin, struct err *e)
{
	int64_t start = clock_mono_us();
	CK_RV rv = module->C_InitPIN(session, (CK_UTF8CHAR *)pin.data, pin.len);

	return finish_pin("C_InitPIN", start, rv, e);
}

int
hsm_call_session_usable(CK_SESSION_HANDLE session, struct err *e)
{
	CK_SESSION_INFO info = {0};
	int code = CALL(C_GetSessionInfo, session, &info);

	if (code != 0)
		return code;
	if (info.state != CKS_RO_USER_FUNCTIONS && info.state != CKS_RW_USER_FUNCTIONS)
		return err_set(e, ERR_TOKEN, (uint32_t)info.state, "the token has forgotten the login");
	return 0;
}

int
hsm_call_find(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG attributes, CK_OBJECT_HANDLE *objects,
	      CK_ULONG *count, struct err *e)
{
	CK_ULONG found = 0;
	int code = CALL(C_FindObjectsInit, session, template, attributes);
	int end;

	if (code != 0)
		return code;
	code = CALL(C_FindObjects, session, objects, *count, &found);
	end = CALL(C_FindObjectsFinal, session);
	if (code != 0 || end != 0)
		return code != 0 ? code : end;
	*count = found;
	return 0;
}

int
hsm_call_get_bool(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, bool *ret_value,
		  bool *ret_known, struct err *e)
{
	CK_BBOOL value = CK_FALSE;
	CK_ATTRIBUTE attribute = {.type = type, .pValue = &value, .ulValueLen = sizeof(value)};
	int64_t start = clock_mono_us();
	CK_RV rv = module->C_GetAttributeValue(session, object, &attribute, 1);
	bool known = rv != CKR_ATTRIBUTE_TYPE_INVALID && attribute.ulValueLen == sizeof(value);
	int code = finish("C_GetAttributeValue", start, rv == CKR_ATTRIBUTE_TYPE_INVALID ? CKR_OK : rv, e);

	if (code != 0)
		return code;
	*ret_known = known;
	*ret_value = known && value != CK_FALSE;
	return 0;
}

int
hsm_call_has_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, bool *ret_has_value,
		   struct err *e)
{
	CK_ATTRIBUTE attribute = {.type = type, .pValue = NULL, .ulValueLen = 0};
	int64_t start = clock_mono_us();
	CK_RV rv = module->C_GetAttributeValue(session, object, &attribute, 1);
	bool expected = rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE;
	int code = finish("C_GetAttributeValue", start, expected ? CKR_OK : rv, e);

	if (code != 0)
		return code;
	*ret_has_value = rv == CKR_ATTRIBUTE_SENSITIVE || (rv == CKR_OK && attribute.ulValueLen > 0 &&
							   attribute.ulValueLen != CK_UNAVAILABLE_INFORMATION);
	return 0;
}

int
hsm_call_generate(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_ATTRIBUTE *public_template,
		  CK_ULONG public_count, CK_ATTRIBUTE *private_template, CK_ULONG private_count, struct err *e)
{
	CK_MECHANISM how = {.mechanism = type, .pParameter = NULL, .ulParameterLen = 0};
	CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE;
	CK_OBJECT_HANDLE private_key = CK_INVALID_HANDLE;

	return CALL(C_GenerateKeyPair, session, &how, public_template, public_count, private_template, private_count,
		    &public_key, &private_key);
}

int
hsm_call_destroy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, struct err *e)
{
	return CALL(C_DestroyObject, session, object);
}
