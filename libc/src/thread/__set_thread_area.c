#include "pthread_impl.h"

void __maize_set_thread_pointer(void *);

int __set_thread_area(void *thread_pointer)
{
	__maize_set_thread_pointer(thread_pointer);
	return 0;
}
