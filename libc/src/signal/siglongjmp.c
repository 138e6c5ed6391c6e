/* Restores the mask before the jump, on the stack it leaves, as POSIX allows. */
#include <setjmp.h>
#include <signal.h>

void __maize_siglongjmp_restore(sigjmp_buf);

_Noreturn void siglongjmp(sigjmp_buf buffer, int value)
{
	__maize_siglongjmp_restore(buffer);
	longjmp(buffer, value);
}
