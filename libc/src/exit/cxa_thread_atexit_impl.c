/* Destructors of thread-local objects of C++, which musl leaves to the C++ library. */
#include <pthread.h>
#include <stdlib.h>

struct destructor {
	struct destructor *next;
	void (*function)(void *);
	void *object;
};

static _Thread_local struct destructor *destructors;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int has_key;

void __call_tls_dtors(void)
{
	/* A destructor may use, and so make, a further object. */
	while (destructors) {
		struct destructor *first = destructors;
		destructors = first->next;
		first->function(first->object);
		free(first);
	}
}

static void thread_ends(void *unused)
{
	__call_tls_dtors();
}

static void create_key(void)
{
	has_key = !pthread_key_create(&key, thread_ends);
}

int __cxa_thread_atexit_impl(void (*function)(void *), void *object, void *shared_object)
{
	pthread_once(&once, create_key);
	if (!has_key || (!destructors && pthread_setspecific(key, &key)))
		return -1;
	struct destructor *new = malloc(sizeof *new);
	if (!new)
		return -1;
	*new = (struct destructor){destructors, function, object};
	destructors = new;
	return 0;
}
