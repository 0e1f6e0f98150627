#include "appliance/operator.h"

#include "board/base/buf.h"

int64_t
app_operator_failures(const struct app_operator *who, int64_t now, const struct app_lockout *lockout)
{
	int64_t forgotten = now > who->failed_at ? (now - who->failed_at) / lockout->decay_s : 0;

	return who->failed > forgotten ? who->failed - forgotten : 0;
}

const char *
app_login_cause_text(enum app_login_cause cause)
{
	static const char *const texts[] = {
		[APP_LOGIN_GOOD] = "logged in",
		[APP_LOGIN_WRONG_PASSWORD] = "wrong password",
		[APP_LOGIN_NO_ACCOUNT] = "no such account",
		[APP_LOGIN_LOCKED] = "the account is locked",
		[APP_LOGIN_DISABLED] = "the account is disabled",
	};

	return (size_t)cause < ARRAY_SIZE(texts) ? texts[cause] : "unknown";
}
