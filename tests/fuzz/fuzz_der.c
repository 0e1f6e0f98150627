/* board/base/der: what is read is written again to the same octets, and OpenSSL reads the same. */
#include <openssl/asn1.h>
#include <stdlib.h>

#include "board/base/der.h"
#include "tests/fuzz/ground.h"

enum { DEPTH_MAX = 40 };

static void
check_time(const struct der *element)
{
	AUTO_BUF again = {0};
	int64_t seconds;

	if (der_time(element, &seconds) != 0)
		return;
	buf_init(&again, 100);
	if (element->tag == DER_UTC_TIME)
		der_put_time(&again, seconds);
	else
		der_put_generalized_time(&again, seconds);
	HOLDS(bytes_equal(buf_bytes(&again), element->whole));
}

static void
check_integer(const struct der *element)
{
	const uint8_t *p = element->whole.data;
	AUTO_BUF again = {0};
	int value;

	if (der_small_int(element, &value) == 0) {
		ASN1_INTEGER *theirs = d2i_ASN1_INTEGER(NULL, &p, (long)element->whole.len);

		HOLDS(value >= 0 && theirs != NULL && ASN1_INTEGER_get(theirs) == value);
		ASN1_INTEGER_free(theirs);
		buf_init(&again, 100);
		der_put_int(&again, (unsigned)value);
		HOLDS(bytes_equal(buf_bytes(&again), element->whole));
	}
}

/* Characters come out as UTF-8 that reads as the same characters. */
static void
check_text(const struct der *element)
{
	struct view v = view_of(element->content), w;
	AUTO_BUF utf8;
	uint32_t c, again;

	buf_init(&utf8, 4 * element->content.len + 4);
	while (der_text_next(element->tag, &v, &c) == 0) {
		(void)der_text_visible(c);
		buf_clear(&utf8);
		der_text_put(&utf8, c);
		w = view_of(buf_bytes(&utf8));
		HOLDS(der_text_next(DER_UTF8_STRING, &w, &again) == 0 && again == c && w.left == 0);
	}
}

static void
check_element(const struct der *element, int depth)
{
	const uint8_t *p = element->whole.data;
	struct view v = view_of(element->content);
	struct der inner;
	AUTO_BUF again = {0};
	long length;
	int tag, class;

	HOLDS((ASN1_get_object(&p, &length, &tag, &class, (long)element->whole.len) & 0x80) == 0);
	HOLDS(p == element->content.data && (size_t)length == element->content.len);
	HOLDS(tag == (element->tag & 0x1f) && class == (element->tag & 0xc0));
	buf_init(&again, element->whole.len + 16);
	der_put(&again, element->tag, element->content);
	HOLDS(bytes_equal(buf_bytes(&again), element->whole));
	check_time(element);
	check_integer(element);
	check_text(element);
	while (depth < DEPTH_MAX && v.left > 0 && der_next(&v, &inner) == 0)
		check_element(&inner, depth + 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view v = view_of((struct bytes){data, size});
	struct der element;

	while (v.left > 0 && der_next(&v, &element) == 0)
		check_element(&element, 0);
	return 0;
}

void
fuzz_seeds(void)
{
	AUTO_BUF b;

	ground_seed("certificate", ground_ca());
	buf_init(&b, 1000);
	der_put_time(&b, GROUND_NOW);
	der_put_generalized_time(&b, GROUND_NOW);
	der_put_int(&b, 70000);
	der_put(&b, DER_UTF8_STRING, bytes_of_text("n\xc3\xa4me"));
	der_put(&b, DER_BMP_STRING, (struct bytes){(const uint8_t *)"\0n\xd8\x3d\xde\0", 6});
	der_put(&b, DER_T61_STRING, bytes_of_text("n\xe4me"));
	ground_seed("values", buf_bytes(&b));
}

GROUND_DER_MUTATOR(0)
