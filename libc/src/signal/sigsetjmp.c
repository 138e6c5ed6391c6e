/* What the compiler's lowering of sigsetjmp needs besides that of setjmp: the signal mask. */
#include <setjmp.h>
#include <signal.h>
#include "syscall.h"

void __maize_sigsetjmp_save(sigjmp_buf buffer, int save_mask)
{
	buffer->__fl = save_mask != 0;
	if (save_mask)
		__syscall(SYS_rt_sigprocmask, SIG_SETMASK, 0, buffer->__ss, _NSIG/8);
}

void __maize_siglongjmp_restore(sigjmp_buf buffer)
{
	if (buffer->__fl)
		__syscall(SYS_rt_sigprocmask, SIG_SETMASK, buffer->__ss, 0, _NSIG/8);
}
