/* A system call that is a cancellation point. A cancellation request that comes after the check interrupts
 * the call (pthread_cancel.c), and __syscall_cp_c acts on EINTR. */
#include "pthread_impl.h"

hidden long __cancel(void);

hidden long __syscall_cp_asm(volatile void *cancel, syscall_arg_t number,
	syscall_arg_t a1, syscall_arg_t a2, syscall_arg_t a3,
	syscall_arg_t a4, syscall_arg_t a5, syscall_arg_t a6)
{
	if (*(volatile int *)cancel)
		return __cancel();
	return __maize_syscall(number, a1, a2, a3, a4, a5, a6);
}
