#include "tests/fuzz/pipework.h"

#include "tests/fuzz/ground.h"

bool
pipework_next(struct bytes *input, uint8_t *ret_type, uint8_t *ret_id, struct bytes *ret_body)
{
	if (input->len == 0)
		return false;
	*ret_type = ground_take_u8(input);
	*ret_id = ground_take_u8(input);
	*ret_body = ground_take_part(input);
	return true;
}

void
pipework_put(struct buf *out, uint8_t type, uint8_t id, struct bytes body)
{
	buf_put_u8(out, type);
	buf_put_u8(out, id);
	ground_put_part(out, body);
}
