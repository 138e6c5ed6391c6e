/* musl's exit, after the destructors of the thread's own objects: C++ has them run before those of static objects
 * ([basic.start.term]). cxa_thread_atexit_impl.c replaces the weak symbol, as with glibc. */
#define exit __maize_exit_process
#include "src/exit/exit.c"
#undef exit

_Noreturn void exit(int);

static void no_destructors(void)
{
}
weak_alias(no_destructors, __call_tls_dtors);

_Noreturn void exit(int code)
{
	__call_tls_dtors();
	__maize_exit_process(code);
}
