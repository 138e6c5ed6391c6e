/* A detached thread ends: its stack and thread block are in the mapping that goes away, so the
 * runtime does both steps on a stack of its own. */
#include "pthread_impl.h"

_Noreturn void __maize_thread_exit(void *base, size_t size);

void __unmapself(void *base, size_t size)
{
	__maize_thread_exit(base, size);
}
