#include "appliance/registration_check.h"

const char *
app_registration_reason_name(enum app_registration_reason reason)
{
	static const char *const names[APP_REGISTRATION_REASONS] = {
		[APP_REGISTRATION_UNKNOWN] = "Unknown",
		[APP_REGISTRATION_SUCCESS] = "Success",
		[APP_REGISTRATION_REQUEST_DECODING] = "CertificateRequestDecodingFailed",
		[APP_REGISTRATION_CHALLENGE_MISSING] = "ChallengePasswordMissing",
		[APP_REGISTRATION_CHALLENGE_DESERIALIZATION] = "ChallengeDeserializationError",
		[APP_REGISTRATION_CHALLENGE_DECRYPTION] = "ChallengeDecryptionError",
		[APP_REGISTRATION_CHALLENGE_DECODING] = "ChallengeDecodingError",
		[APP_REGISTRATION_CHALLENGE_TIMESTAMP] = "ChallengeInvalidTimestamp",
		[APP_REGISTRATION_CHALLENGE_EXPIRED] = "ChallengeExpired",
		[APP_REGISTRATION_SUBJECT_MISSING] = "SubjectNameMissing",
		[APP_REGISTRATION_SUBJECT_MISMATCH] = "SubjectNameMismatch",
		[APP_REGISTRATION_SAN_MISSING] = "SubjectAltNameMissing",
		[APP_REGISTRATION_SAN_MISMATCH] = "SubjectAltNameMismatch",
		[APP_REGISTRATION_KEY_USAGE] = "KeyUsageMismatch",
		[APP_REGISTRATION_KEY_LENGTH] = "KeyLengthMismatch",
		[APP_REGISTRATION_EKU_MISSING] = "EnhancedKeyUsageMissing",
		[APP_REGISTRATION_EKU_MISMATCH] = "EnhancedKeyUsageMismatch",
		[APP_REGISTRATION_AAD_KEY_MISSING] = "AadKeyIdentifierListMissing",
		[APP_REGISTRATION_REGISTERED_KEY] = "RegisteredKeyMismatch",
		[APP_REGISTRATION_SIGNING_CERTIFICATE] = "SigningCertThumbprintMismatch",
		[APP_REGISTRATION_NO_LONGER_TARGETED] = "ScepProfileNoLongerTargetedToTheClient",
		[APP_REGISTRATION_SIGNATURE] = "SignatureValidationFailed",
		[APP_REGISTRATION_REQUEST_ID] = "BadCertificateRequestIdInChallenge",
		[APP_REGISTRATION_DEVICE_ID] = "BadDeviceIdInChallenge",
		[APP_REGISTRATION_USER_ID] = "BadUserIdInChallenge",
	};

	return reason >= 0 && reason < APP_REGISTRATION_REASONS ? names[reason] : names[APP_REGISTRATION_UNKNOWN];
}

int
app_registration_generate(struct app_authority *a, const struct app_registration_ask *ask, app_registration_fn fn,
			  void *arg)
{
	return ERR_CLOSED;
}

int
app_registration_verify(struct app_authority *a, const struct app_policy_request *request, app_policy_fn fn, void *arg)
{
	return ERR_CLOSED;
}

int
app_registration_notify(struct app_authority *a, const struct app_policy_outcome *outcome, struct bytes serial,
			app_policy_fn fn, void *arg)
{
	return ERR_CLOSED;
}
