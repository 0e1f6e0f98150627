/* Mutations of DER by its elements. */
#include <string.h>

#include "board/base/der.h"
#include "tests/fuzz/ground.h"

enum { DEPTH_MAX = 24, OUT_MAX = 1 << 20, NEW_MAX = 300 };

enum change { CHANGE_OCTETS, CHANGE_TAG, CHANGE_REMOVE, CHANGE_DOUBLE, CHANGE_OTHER, CHANGE_EMPTY, CHANGE_COUNT };

struct mutation {
	struct bytes whole; /* of all */
	int at;             /* number of elements before the one to change */
	enum change change;
	unsigned seed;
	struct buf out;
};

/* What has elements inside: constructed ones, and octet strings that hold DER, as extensions and CMS do. */
static bool
is_nest(const struct der *element, int depth)
{
	struct der inner;
	struct view v = view_of(element->content);

	if (depth >= DEPTH_MAX || element->content.len == 0)
		return false;
	if (element->tag != DER_OCTET_STRING && (element->tag & 0x20) == 0)
		return false;
	while (v.left > 0)
		if (der_next(&v, &inner) != 0)
			return false;
	return true;
}

static int
count(struct bytes content, int depth)
{
	struct view v = view_of(content);
	struct der element;
	int n = 0;

	while (v.left > 0 && der_next(&v, &element) == 0) {
		n++;
		if (is_nest(&element, depth))
			n += count(element.content, depth + 1);
	}
	return n;
}

/* The whole of element number *at. */
static struct bytes
find(struct bytes content, int *at, int depth)
{
	struct bytes found = {NULL, 0};
	struct view v = view_of(content);
	struct der element;

	while (v.left > 0 && found.data == NULL && der_next(&v, &element) == 0) {
		if ((*at)-- == 0)
			return element.whole;
		if (is_nest(&element, depth))
			found = find(element.content, at, depth + 1);
	}
	return found;
}

static void
put_octets(struct mutation *m, const struct der *element)
{
	uint8_t octets[OUT_MAX / 16];
	size_t len = element->content.len;

	if (len > sizeof(octets) - NEW_MAX)
		len = sizeof(octets) - NEW_MAX;
	if (len > 0)
		memcpy(octets, element->content.data, len);
	len = LLVMFuzzerMutate(octets, len, len + NEW_MAX);
	der_put(&m->out, element->tag, (struct bytes){octets, len});
}

static void
put_changed(struct mutation *m, const struct der *element)
{
	static const uint8_t tags[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x0c, 0x13, 0x14, 0x16, 0x17, 0x18,
				       0x1e, 0x24, 0x30, 0x31, 0x80, 0x81, 0x82, 0x86, 0xa0, 0xa1, 0xa2, 0xa3};
	struct bytes other;
	int at;

	switch (m->change) {
	case CHANGE_OCTETS:
		put_octets(m, element);
		break;
	case CHANGE_TAG:
		der_put(&m->out, tags[m->seed % sizeof(tags)], element->content);
		break;
	case CHANGE_DOUBLE:
		buf_put_raw(&m->out, element->whole.data, element->whole.len);
		buf_put_raw(&m->out, element->whole.data, element->whole.len);
		break;
	case CHANGE_OTHER:
		at = (int)(m->seed % (unsigned)count(m->whole, 0));
		other = find(m->whole, &at, 0);
		buf_put_raw(&m->out, other.data, other.len);
		break;
	case CHANGE_EMPTY:
		der_put(&m->out, element->tag, (struct bytes){NULL, 0});
		break;
	default:
		break;
	}
}

static void
put(struct mutation *m, struct bytes content, int depth)
{
	struct view v = view_of(content);
	struct der element;
	size_t mark;

	while (v.left > 0 && der_next(&v, &element) == 0) {
		if (m->at-- == 0) {
			put_changed(m, &element);
		} else if (is_nest(&element, depth)) {
			mark = der_open(&m->out, element.tag);
			put(m, element.content, depth + 1);
			der_close(&m->out, mark);
		} else {
			buf_put_raw(&m->out, element.whole.data, element.whole.len);
		}
	}
}

size_t
ground_mutate_der(uint8_t *data, size_t size, size_t max_size, size_t skip, unsigned seed)
{
	struct mutation m = {.change = (enum change)(seed % CHANGE_COUNT), .seed = seed / 97};
	size_t len = 0;
	int elements;

	if (size <= skip)
		return 0;
	m.whole = (struct bytes){data + skip, size - skip};
	elements = count(m.whole, 0);
	if (elements == 0)
		return 0;
	m.at = (int)(seed / CHANGE_COUNT % (unsigned)elements);
	buf_init(&m.out, OUT_MAX);
	put(&m, m.whole, 0);
	if (buf_status(&m.out) == 0 && m.out.len <= max_size - skip) {
		if (m.out.len > 0)
			memcpy(data + skip, m.out.data, m.out.len);
		len = skip + m.out.len;
	}
	buf_fini(&m.out);
	return len;
}
