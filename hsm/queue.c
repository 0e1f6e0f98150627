#include "hsm/queue.h"

#include <pthread.h>

/* First in, first out. */
struct line {
	struct hsm_job *first;
	struct hsm_job *last;
};

struct hsm_queue {
	pthread_mutex_t lock; /* guards all below; never held across a job */
	pthread_cond_t work;  /* a job came, or the queue was closed */
	struct line urgent;
	struct line bulk;
	size_t length;
	size_t limit;
	unsigned burst; /* urgent jobs in a row while a bulk one waited */
	bool closed;
};

int
hsm_queue_new(size_t limit, struct hsm_queue **ret_queue)
{
	struct hsm_queue *queue = calloc(1, sizeof(*queue));

	if (queue == NULL)
		return ERR_NOMEM;
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->work, NULL);
	queue->limit = limit;
	*ret_queue = queue;
	return 0;
}

void
hsm_queue_free(struct hsm_queue *queue)
{
	if (queue == NULL)
		return;
	BUG_ON(queue->length != 0);
	pthread_cond_destroy(&queue->work);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

static void
line_append(struct line *line, struct hsm_job *job)
{
	job->next = NULL;
	if (line->last != NULL)
		line->last->next = job;
	else
		line->first = job;
	line->last = job;
}

static struct hsm_job *
line_remove(struct line *line)
{
	struct hsm_job *job = line->first;

	line->first = job->next;
	if (line->first == NULL)
		line->last = NULL;
	job->next = NULL;
	return job;
}

int
hsm_queue_put(struct hsm_queue *queue, struct hsm_job *job)
{
	int code = 0;

	pthread_mutex_lock(&queue->lock);
	if (queue->closed) {
		code = ERR_CLOSED;
	} else if (queue->length >= queue->limit) {
		code = ERR_BUSY;
	} else {
		line_append(job->bulk ? &queue->bulk : &queue->urgent, job);
		queue->length++;
		pthread_cond_signal(&queue->work);
	}
	pthread_mutex_unlock(&queue->lock);
	return code;
}

/* The line that is served next.  At least one has a job. */
static struct line *
next_line(struct hsm_queue *queue)
{
	if (queue->bulk.first == NULL)
		return &queue->urgent;
	if (queue->urgent.first == NULL || queue->burst >= HSM_QUEUE_BURST) {
		queue->burst = 0;
		return &queue->bulk;
	}
	queue->burst++;
	return &queue->urgent;
}

struct hsm_job *
hsm_queue_take(struct hsm_queue *queue)
{
	struct hsm_job *job = NULL;

	pthread_mutex_lock(&queue->lock);
	while (queue->length == 0 && !queue->closed)
		pthread_cond_wait(&queue->work, &queue->lock);
	if (queue->length > 0) {
		job = line_remove(next_line(queue));
		queue->length--;
	}
	pthread_mutex_unlock(&queue->lock);
	return job;
}

void
hsm_queue_close(struct hsm_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->closed = true;
	pthread_cond_broadcast(&queue->work);
	pthread_mutex_unlock(&queue->lock);
}

size_t
hsm_queue_length(struct hsm_queue *queue)
{
	size_t length;

	pthread_mutex_lock(&queue->lock);
	length = queue->length;
	pthread_mutex_unlock(&queue->lock);
	return length;
}
