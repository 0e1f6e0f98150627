#include "hsm/tbs_attributes.h"

#include "board/base/der.h"

/* The next attribute, SEQUENCE { type OID, SET }. */
static int
next_type(struct view *list, struct der *ret_type)
{
	struct der attribute, values;
	struct view content;

	if (der_expect(list, DER_SEQUENCE, &attribute) != 0)
		return ERR_FORMAT;
	content = view_of(attribute.content);
	if (der_expect(&content, DER_OID, ret_type) != 0 || der_expect(&content, DER_SET, &values) != 0)
		return ERR_FORMAT;
	return view_end(&content);
}

int
hsm_tbs_attributes(struct bytes data, const struct bytes *types, size_t count, size_t needed, struct err *e)
{
	const uint32_t all = (uint32_t)((UINT64_C(1) << needed) - 1);
	uint32_t found = 0;
	bool others = false;
	struct der type;
	struct view list;
	size_t i;

	if (der_whole(data, DER_SET, &list) != 0)
		return err_set(e, ERR_FORMAT, 0, "refused to sign: not one SET of attributes");
	while (list.left > 0) {
		if (next_type(&list, &type) != 0)
			return err_set(e, ERR_FORMAT, 0, "refused to sign: an attribute is malformed");
		for (i = 0; i < count && !bytes_equal(type.content, types[i]); i++)
			;
		others = others || i == count || (found & UINT32_C(1) << i) != 0;
		found |= i < count ? UINT32_C(1) << i : 0;
	}
	if (others || (found & all) != all)
		return err_set(e, ERR_DENIED, 0, "refused to sign: not the attributes that this key is for");
	return 0;
}
