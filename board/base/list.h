/*
 * board/base/list - doubly linked list whose links live in the members
 *
 * Threads:  one at a time.
 * Owner:    the list owns nothing.
 */
#ifndef BOARD_BASE_LIST_H
#define BOARD_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev;
	struct list *next;
};

/* An empty list, or a link that is in none. */
static inline void
list_init(struct list *l)
{
	l->prev = l;
	l->next = l;
}

/* True for a list without members, and for a link that is in no list. */
static inline bool
list_empty(const struct list *l)
{
	return l->next == l;
}

/* Appends link at the end of head. */
static inline void
list_append(struct list *head, struct list *link)
{
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

/* Takes link out of the list it is in; harmless when it is in none. */
static inline void
list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

/* The struct of which link is the member. */
#define list_entry(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Walks head; the current member may be removed. */
#define list_each(pos, tmp, head)                                                                                      \
	for ((pos) = (head)->next, (tmp) = (pos)->next; (pos) != (head); (pos) = (tmp), (tmp) = (pos)->next)

#endif
