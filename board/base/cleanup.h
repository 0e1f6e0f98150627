/*
 * board/base/cleanup - locals that own something give it back when their block ends
 *
 * AUTO(T) declares a local whose release function runs on every way out of its block; CLEANUP(T, free_function) teaches
 * it a type T that is used through pointers.  TAKE(p) hands the value over and leaves NULL behind.
 *
 *	AUTO(X509_REQ) csr = NULL;
 *	...
 *	*ret_csr = TAKE(csr);
 */
#ifndef BOARD_BASE_CLEANUP_H
#define BOARD_BASE_CLEANUP_H

#include <stdlib.h>

#define MUST_CHECK             __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define CLEANUP(type, release)                                                                                         \
	static inline __attribute__((unused)) void cleanup_##type(type **p)                                            \
	{                                                                                                              \
		if (*p != NULL)                                                                                        \
			release(*p);                                                                                   \
	}

/* The same for "struct tag". */
#define CLEANUP_STRUCT(tag, release)                                                                                   \
	static inline __attribute__((unused)) void cleanup_struct_##tag(struct tag **p)                                \
	{                                                                                                              \
		if (*p != NULL)                                                                                        \
			release(*p);                                                                                   \
	}

#define AUTO(type)       __attribute__((cleanup(cleanup_##type))) type *
#define AUTO_STRUCT(tag) __attribute__((cleanup(cleanup_struct_##tag))) struct tag *

#define TAKE(p)                                                                                                        \
	__extension__({                                                                                                \
		__typeof__(p) taken_ = (p);                                                                            \
		(p) = NULL;                                                                                            \
		taken_;                                                                                                \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

CLEANUP(char, free)

#endif
