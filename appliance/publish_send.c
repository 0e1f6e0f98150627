/*
 * The part of publish.h that gives identity and CRLs to the fronts.
 */
#include "appliance/state.h"
#include "board/base/log.h"

static void
send_crl(struct app_front *front, const struct app_publish *p, bool delta)
{
	struct msg_crl m = {.generation = (uint8_t)p->generation,
			    .crl = p->crl,
			    .this_update = p->this_update,
			    .next_update = p->next_update};
	int status;

	if (delta)
		m = (struct msg_crl){.generation = (uint8_t)p->generation,
				     .delta = 1,
				     .crl = p->delta.crl,
				     .this_update = p->delta.this_update,
				     .next_update = p->delta.next_update};
	status = msg_crl_send(front->ipc, 0, &m);
	if (status != 0)
		log_event(FAILURE, "sending the CRL to the front", err_name(status), 0U, log_text(""));
}

void
app_publish_send(struct app_publish *p, bool delta)
{
	struct list *pos, *tmp;

	list_each (pos, tmp, &p->authority->links.fronts)
		send_crl(list_entry(pos, struct app_front, link), p, delta);
}

static void
send_identity(struct app_front *front, const struct msg_identity *m)
{
	int status = msg_identity_send(front->ipc, 0, m);

	if (status != 0)
		log_event(FAILURE, "sending the identity to the front", err_name(status), 0U, log_text(""));
}

void
app_publish_identity(struct app_authority *a)
{
	struct list *pos, *tmp;
	struct msg_identity m;

	if (!app_internal_identity(a, &m))
		return;
	list_each (pos, tmp, &a->links.fronts)
		send_identity(list_entry(pos, struct app_front, link), &m);
}

void
app_publish_greet(struct app_front *front)
{
	struct msg_identity m;

	if (app_internal_identity(front->authority, &m))
		send_identity(front, &m);
	for (unsigned g = 0; g < CA_GENERATIONS; g++) {
		const struct app_publish *p = &front->authority->publish[g];

		if (p->crl.len > 0)
			send_crl(front, p, false);
		if (p->delta.crl.len > 0)
			send_crl(front, p, true);
	}
}
