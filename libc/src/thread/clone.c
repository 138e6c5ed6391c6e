/* New threads and processes. A thread is made by the runtime, which gives it a machine stack; `stack` becomes
 * its shadow stack. Everything else (posix_spawn, faccessat, the program's own use of clone for processes) is
 * a copy of the process that runs `function`: callers in musl work alike with a copy, and no two
 * processes can share a Maize address space. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include "pthread_impl.h"

long __maize_thread_create(int (*function)(void *), void *stack, long flags, void *argument,
	void *parent_tid, void *thread_pointer, void *child_tid);

int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...)
{
	void *parent_tid = 0, *thread_pointer = 0, *child_tid = 0;
	if (flags & (CLONE_THREAD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_SETTLS)) {
		va_list list;
		va_start(list, argument);
		parent_tid = va_arg(list, void *);
		thread_pointer = va_arg(list, void *);
		child_tid = va_arg(list, void *);
		va_end(list);
	}

	if (flags & CLONE_THREAD)
		return __maize_thread_create(function, stack, flags, argument, parent_tid, thread_pointer, child_tid);
	if (flags & CLONE_SETTLS)
		return -EINVAL;
	int pid = __syscall(SYS_clone, flags & ~(CLONE_VM | CLONE_VFORK), 0, parent_tid, child_tid, 0);
	if (pid == 0)
		__syscall(SYS_exit, function(argument));
	return pid;
}
