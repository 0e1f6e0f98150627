#include "appliance/regserve.h"

#include <stdio.h>

#include "appliance/state.h"
#include "board/base/log.h"

void
app_regserve_request(struct app_front *front, uint64_t id, const struct msg_registration *m)
{
	const struct app_regpoint *point = app_regpoint_at(front->authority, m->application);
	struct msg_registration_answer answer = {.http_status = 404};
	int status;

	if (point != NULL && m->action == REGISTRATION_LOOK)
		snprintf(answer.reason, sizeof(answer.reason), "%s", point->application);
	else if (point != NULL)
		answer.http_status = 503;
	status = msg_registration_answer_send(front->ipc, id, &answer);
	if (status != 0)
		log_event(FAILURE, "answering the front", err_name(status), 0U, log_text("the answer was dropped"));
}
