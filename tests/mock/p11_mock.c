/*
 * p11_mock.so - a PKCS#11 module that hands every call to the real one and makes the faults that its script asks for
 *
 * A stand-in for faults that SoftHSM cannot be made to show; the rest is SoftHSM's own work.  README.md here has the
 * script's language.  Sessions and objects get handles of our own, so that they can be lost or changed without
 * touching the real ones: closing a session that another thread uses crashes SoftHSM (facts, hsm.md 2).
 *
 * Threads:  any.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/mock/crash.h"
#include "tests/mock/script.h"

/* Handles are the real ones with the number of times they were all lost in front. */
enum { HANDLE_BITS = 32 };

static CK_FUNCTION_LIST *real;

static struct {
	pthread_mutex_t lock; /* guards all below */
	CK_ULONG session_age;
	CK_ULONG object_age;
	unsigned sessions; /* open ones */
	bool absent;
	bool forced_out; /* logged out by a fault, which the real token does not know */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .session_age = 1, .object_age = 1};

struct call {
	struct mock_plan plan;
	CK_RV rv;
};

/* ---- handles ----------------------------------------------------------------------------------------------------- */

static CK_ULONG
real_handle(CK_ULONG handle)
{
	return handle & (((CK_ULONG)1 << HANDLE_BITS) - 1);
}

static CK_ULONG
our_handle(CK_ULONG handle, CK_ULONG age)
{
	return handle | age << HANDLE_BITS;
}

static CK_ULONG
age_of(CK_ULONG handle)
{
	return handle >> HANDLE_BITS;
}

#define REAL_SESSION real_handle(session)
#define REAL_OBJECT  real_handle(object)

static void
give_object(CK_OBJECT_HANDLE *object)
{
	pthread_mutex_lock(&state.lock);
	if (object != NULL && *object != CK_INVALID_HANDLE)
		*object = our_handle(*object, state.object_age);
	pthread_mutex_unlock(&state.lock);
}

/* ---- each call --------------------------------------------------------------------------------------------------- */

/* Under the lock. */
static void
lose_sessions(void)
{
	state.session_age++;
	state.sessions = 0;
	state.forced_out = true;
}

static void
take_faults(const struct mock_plan *plan)
{
	pthread_mutex_lock(&state.lock);
	if (plan->drop_sessions || (plan->absent && !state.absent))
		lose_sessions();
	if (plan->logout)
		state.forced_out = true;
	if (plan->change_handles)
		state.object_age++;
	state.absent = plan->absent;
	pthread_mutex_unlock(&state.lock);
}

static bool
begin(struct call *call, enum mock_function function)
{
	mock_script_plan(function, &call->plan);
	mock_script_wait(&call->plan);
	take_faults(&call->plan);
	call->rv = call->plan.instead;
	if (call->plan.kill_at_step != 0)
		mock_crash_begin(call->plan.kill_at_step);
	return call->rv == CKR_OK;
}

static CK_RV
end(struct call *call)
{
	if (call->plan.kill_at_step != 0)
		mock_script_steps(&call->plan, mock_crash_end());
	if (call->rv == CKR_OK)
		call->rv = call->plan.after;
	mock_script_trace(&call->plan, call->rv);
	return call->rv;
}

/* Functions that need the login, of those that the product calls. */
static bool
needs_login(enum mock_function function)
{
	switch (function) {
	case FN_C_SignInit:
	case FN_C_Sign:
	case FN_C_DecryptInit:
	case FN_C_Decrypt:
	case FN_C_GenerateKeyPair:
	case FN_C_DestroyObject:
		return true;
	default:
		return false;
	}
}

/* Is there a token in the slot? */
static bool
slot_ok(struct call *call)
{
	if (call->plan.absent)
		call->rv = CKR_TOKEN_NOT_PRESENT;
	return call->rv == CKR_OK;
}

/* Are session and object (0: none) still what the token knows? */
static bool
handles_ok(struct call *call, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
	bool key = call->plan.function == FN_C_SignInit || call->plan.function == FN_C_DecryptInit;

	pthread_mutex_lock(&state.lock);
	if (state.absent)
		call->rv = CKR_DEVICE_REMOVED;
	else if (age_of(session) != state.session_age)
		call->rv = CKR_SESSION_HANDLE_INVALID;
	else if (state.forced_out && needs_login(call->plan.function))
		call->rv = CKR_USER_NOT_LOGGED_IN;
	else if (object != CK_INVALID_HANDLE && age_of(object) != state.object_age)
		call->rv = key ? CKR_KEY_HANDLE_INVALID : CKR_OBJECT_HANDLE_INVALID;
	pthread_mutex_unlock(&state.lock);
	return call->rv == CKR_OK;
}

#define FORWARD(name, session_, object_, params, args)                                                                 \
	static CK_RV mock_##name params                                                                                \
	{                                                                                                              \
		struct call call;                                                                                      \
                                                                                                                       \
		if (begin(&call, FN_##name) && handles_ok(&call, session_, object_))                                   \
			call.rv = real->name args;                                                                     \
		return end(&call);                                                                                     \
	}
#define OWN(name)
#include "tests/mock/functions.def"

/* CALL(name, may it, arguments): the same for those below. */
#define CALL(name, ok, ...)                                                                                            \
	struct call call;                                                                                              \
                                                                                                                       \
	if (begin(&call, FN_##name) && (ok))                                                                           \
		call.rv = real->name(__VA_ARGS__);

/* ---- module, slots, token ---------------------------------------------------------------------------------------- */

static CK_RV
mock_C_Initialize(void *arguments)
{
	CALL(C_Initialize, true, arguments)
	return end(&call);
}

static CK_RV
mock_C_Finalize(void *reserved)
{
	CALL(C_Finalize, true, reserved)
	return end(&call);
}

static CK_RV
mock_C_GetInfo(CK_INFO *info)
{
	CALL(C_GetInfo, true, info)
	return end(&call);
}

static CK_RV
mock_C_GetSlotList(CK_BBOOL with_token, CK_SLOT_ID *slots, CK_ULONG *count)
{
	CALL(C_GetSlotList, true, with_token, slots, count)
	if (call.rv == CKR_OK && call.plan.absent && with_token)
		*count = 0;
	return end(&call);
}

static CK_RV
mock_C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
	CALL(C_GetSlotInfo, true, slot, info)
	if (call.rv == CKR_OK && call.plan.absent)
		info->flags &= ~(CK_FLAGS)CKF_TOKEN_PRESENT;
	return end(&call);
}

static CK_RV
mock_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	CALL(C_GetTokenInfo, slot_ok(&call), slot, info)
	if (call.rv == CKR_OK && call.plan.sessions != 0)
		info->ulMaxSessionCount = info->ulMaxRwSessionCount = call.plan.sessions;
	return end(&call);
}

static CK_RV
mock_C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved)
{
	CALL(C_WaitForSlotEvent, true, flags, slot, reserved)
	return end(&call);
}

static CK_RV
mock_C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
	CALL(C_GetMechanismList, slot_ok(&call), slot, list, count)
	return end(&call);
}

static CK_RV
mock_C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
	CALL(C_GetMechanismInfo, slot_ok(&call), slot, type, info)
	return end(&call);
}

static CK_RV
mock_C_InitToken(CK_SLOT_ID slot, CK_BYTE *pin, CK_ULONG pin_len, CK_BYTE *label)
{
	CALL(C_InitToken, slot_ok(&call), slot, pin, pin_len, label)
	return end(&call);
}

/* ---- sessions and login ------------------------------------------------------------------------------------------ */

/* One more, if the script's limit lets it be. */
static bool
count_session(struct call *call)
{
	pthread_mutex_lock(&state.lock);
	if (call->plan.sessions != 0 && state.sessions >= call->plan.sessions)
		call->rv = CKR_SESSION_COUNT;
	else
		state.sessions++;
	pthread_mutex_unlock(&state.lock);
	return call->rv == CKR_OK;
}

static CK_RV
mock_C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void *arg, CK_NOTIFY notify, CK_SESSION_HANDLE *session)
{
	CALL(C_OpenSession, slot_ok(&call) && count_session(&call), slot, flags, arg, notify, session)
	if (call.rv == CKR_OK) {
		pthread_mutex_lock(&state.lock);
		*session = our_handle(*session, state.session_age);
		pthread_mutex_unlock(&state.lock);
	}
	return end(&call);
}

static CK_RV
mock_C_CloseSession(CK_SESSION_HANDLE session)
{
	CALL(C_CloseSession, handles_ok(&call, session, 0), REAL_SESSION)
	pthread_mutex_lock(&state.lock);
	if (call.rv == CKR_OK && state.sessions > 0)
		state.sessions--;
	pthread_mutex_unlock(&state.lock);
	return end(&call);
}

static CK_RV
mock_C_CloseAllSessions(CK_SLOT_ID slot)
{
	CALL(C_CloseAllSessions, slot_ok(&call), slot)
	pthread_mutex_lock(&state.lock);
	if (call.rv == CKR_OK)
		lose_sessions();
	pthread_mutex_unlock(&state.lock);
	return end(&call);
}

static CK_RV
mock_C_GetSessionInfo(CK_SESSION_HANDLE session, CK_SESSION_INFO *info)
{
	CALL(C_GetSessionInfo, handles_ok(&call, session, 0), REAL_SESSION, info)
	pthread_mutex_lock(&state.lock);
	if (call.rv == CKR_OK && state.forced_out)
		info->state = (info->flags & CKF_RW_SESSION) != 0 ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;
	pthread_mutex_unlock(&state.lock);
	return end(&call);
}

static CK_RV
mock_C_SetOperationState(CK_SESSION_HANDLE session, CK_BYTE *saved, CK_ULONG saved_len, CK_OBJECT_HANDLE encryption,
			 CK_OBJECT_HANDLE authentication)
{
	CALL(C_SetOperationState, handles_ok(&call, session, 0), REAL_SESSION, saved, saved_len,
	     real_handle(encryption), real_handle(authentication))
	return end(&call);
}

/* After a logout that was our doing the real token says that the user is there already. */
static CK_RV
mock_C_Login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG pin_len)
{
	CALL(C_Login, handles_ok(&call, session, 0), REAL_SESSION, user, pin, pin_len)
	pthread_mutex_lock(&state.lock);
	if (call.rv == CKR_USER_ALREADY_LOGGED_IN && state.forced_out)
		call.rv = CKR_OK;
	if (call.rv == CKR_OK) {
		state.forced_out = false;
		state.object_age += call.plan.handles_at_login;
	}
	pthread_mutex_unlock(&state.lock);
	return end(&call);
}

static CK_RV
mock_C_Logout(CK_SESSION_HANDLE session)
{
	CALL(C_Logout, handles_ok(&call, session, 0), REAL_SESSION)
	return end(&call);
}

/* ---- objects ----------------------------------------------------------------------------------------------------- */

static CK_RV
mock_C_CreateObject(CK_SESSION_HANDLE session, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *object)
{
	CALL(C_CreateObject, handles_ok(&call, session, 0), REAL_SESSION, attributes, count, object)
	if (call.rv == CKR_OK)
		give_object(object);
	return end(&call);
}

static CK_RV
mock_C_CopyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes, CK_ULONG count,
		  CK_OBJECT_HANDLE *copy)
{
	CALL(C_CopyObject, handles_ok(&call, session, object), REAL_SESSION, REAL_OBJECT, attributes, count, copy)
	if (call.rv == CKR_OK)
		give_object(copy);
	return end(&call);
}

static CK_RV
mock_C_FindObjects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *objects, CK_ULONG max, CK_ULONG *count)
{
	CK_ULONG i;
	CALL(C_FindObjects, handles_ok(&call, session, 0), REAL_SESSION, objects, max, count)

	for (i = 0; call.rv == CKR_OK && i < *count; i++)
		give_object(&objects[i]);
	/* Whoever is not logged in does not see private objects. */
	pthread_mutex_lock(&state.lock);
	if (call.rv == CKR_OK && state.forced_out)
		*count = 0;
	pthread_mutex_unlock(&state.lock);
	return end(&call);
}

static CK_RV
mock_C_GenerateKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *attributes, CK_ULONG count,
		   CK_OBJECT_HANDLE *key)
{
	CALL(C_GenerateKey, handles_ok(&call, session, 0), REAL_SESSION, mechanism, attributes, count, key)
	if (call.rv == CKR_OK)
		give_object(key);
	return end(&call);
}

static CK_RV
mock_C_GenerateKeyPair(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public_template,
		       CK_ULONG public_count, CK_ATTRIBUTE *private_template, CK_ULONG private_count,
		       CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
	CALL(C_GenerateKeyPair, handles_ok(&call, session, 0), REAL_SESSION, mechanism, public_template, public_count,
	     private_template, private_count, public_key, private_key)
	if (call.rv == CKR_OK) {
		give_object(public_key);
		give_object(private_key);
	}
	return end(&call);
}

static CK_RV
mock_C_WrapKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE object, CK_OBJECT_HANDLE key,
	       CK_BYTE *wrapped, CK_ULONG *wrapped_len)
{
	CALL(C_WrapKey, handles_ok(&call, session, object), REAL_SESSION, mechanism, REAL_OBJECT, real_handle(key),
	     wrapped, wrapped_len)
	return end(&call);
}

static CK_RV
mock_C_UnwrapKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE object, CK_BYTE *wrapped,
		 CK_ULONG wrapped_len, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *key)
{
	CALL(C_UnwrapKey, handles_ok(&call, session, object), REAL_SESSION, mechanism, REAL_OBJECT, wrapped,
	     wrapped_len, attributes, count, key)
	if (call.rv == CKR_OK)
		give_object(key);
	return end(&call);
}

static CK_RV
mock_C_DeriveKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes,
		 CK_ULONG count, CK_OBJECT_HANDLE *key)
{
	CALL(C_DeriveKey, handles_ok(&call, session, object), REAL_SESSION, mechanism, REAL_OBJECT, attributes, count,
	     key)
	if (call.rv == CKR_OK)
		give_object(key);
	return end(&call);
}

/* ---- private-key operations -------------------------------------------------------------------------------------- */

/* The output as a broken device would give it.  A question for the length (out NULL) has none. */
static void
spoil(const struct call *call, CK_BYTE *out, CK_ULONG *len)
{
	if (call->rv != CKR_OK || out == NULL || *len == 0)
		return;
	if (call->plan.wrong)
		out[*len / 2] ^= 0x01;
	if (call->plan.cut)
		(*len)--;
}

/* A token that fails such a call has ended the operation, all the same (PKCS#11 2.40, 5.2); ours has to, too. */
static bool
ends_operation(const struct call *call, const CK_BYTE *out)
{
	return call->plan.instead != CKR_OK && call->plan.instead != CKR_BUFFER_TOO_SMALL && out != NULL;
}

static CK_RV
mock_C_Sign(CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
	CALL(C_Sign, handles_ok(&call, session, 0), REAL_SESSION, in, in_len, out, out_len)
	if (ends_operation(&call, out))
		(void)real->C_Sign(REAL_SESSION, in, in_len, out, out_len);
	spoil(&call, out, out_len);
	return end(&call);
}

static CK_RV
mock_C_Decrypt(CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
	CALL(C_Decrypt, handles_ok(&call, session, 0), REAL_SESSION, in, in_len, out, out_len)
	if (ends_operation(&call, out))
		(void)real->C_Decrypt(REAL_SESSION, in, in_len, out, out_len);
	spoil(&call, out, out_len);
	return end(&call);
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

static CK_FUNCTION_LIST list = {
	.version = {2, 40},
#define OWN(name)                                    .name = mock_##name,
#define FORWARD(name, session, object, params, args) .name = mock_##name,
#include "tests/mock/functions.def"
};

__attribute__((visibility("default"))) CK_RV
C_GetFunctionList(CK_FUNCTION_LIST **ret_list)
{
	CK_RV (*get_list)(CK_FUNCTION_LIST * *ret);
	void *library;

	mock_script_open();
	library = dlopen(mock_script_module(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (library == NULL)
		return CKR_GENERAL_ERROR;
	*(void **)&get_list = dlsym(library, "C_GetFunctionList");
	if (get_list == NULL || get_list(&real) != CKR_OK)
		return CKR_GENERAL_ERROR;
	list.C_GetFunctionList = C_GetFunctionList;
	*ret_list = &list;
	return CKR_OK;
}
