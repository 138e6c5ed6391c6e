/* Cancellation as in musl, but for the signal handler: musl's moves the program counter of an interrupted
 * system call, which is not portable. Here SIGCANCEL ends a call that is a cancellation point
 * (syscall_cp.c), and __syscall_cp_c finds the request. */
#define _GNU_SOURCE
#include "pthread_impl.h"

static int install_handler(void);
#define __libc_sigaction(signal, action, old) install_handler()
#include "src/thread/pthread_cancel.c"
#undef __libc_sigaction

static void handle_request(int signal)
{
	pthread_t self = __pthread_self();
	a_barrier();
	if (self->cancel && self->cancelasync && self->canceldisable != PTHREAD_CANCEL_DISABLE)
		__cancel();
}

static int install_handler(void)
{
	struct sigaction action = { .sa_handler = handle_request, .sa_flags = SA_RESTART };
	memset(&action.sa_mask, -1, _NSIG/8);
	return __libc_sigaction(SIGCANCEL, &action, 0);
}

/* musl's handler, which is not installed, names the bounds of its system call. */
hidden const char __cp_begin[1], __cp_end[1], __cp_cancel[1];
