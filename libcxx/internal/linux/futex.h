// The numbers of the Linux kernel's <linux/futex.h> that libc++ uses: the libc has no headers of the kernel.

#ifndef _LINUX_FUTEX_H
#define _LINUX_FUTEX_H

#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129

#endif
