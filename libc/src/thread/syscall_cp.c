/* A system call that is a cancellation point. A cancellation request that comes after the check ends it with
 * EINTR, also if the call has not begun yet (CANCELLABLE in crates/runtime/src/syscall/mod.rs), and
 * __syscall_cp_c acts on that. */
#include "pthread_impl.h"

#define CANCELLABLE (1L << 35)

hidden long __cancel(void);

hidden long __syscall_cp_asm(volatile void *cancel, syscall_arg_t number,
	syscall_arg_t a1, syscall_arg_t a2, syscall_arg_t a3,
	syscall_arg_t a4, syscall_arg_t a5, syscall_arg_t a6)
{
	if (*(volatile int *)cancel)
		return __cancel();
	return __maize_syscall(number | CANCELLABLE, a1, a2, a3, a4, a5, a6);
}
