/* As fork: parent and child of a real vfork share a stack, which the parent's frame records forbid.
 * POSIX allows it (a program may not rely on the sharing). */
#define _GNU_SOURCE
#include <unistd.h>

pid_t vfork(void)
{
	return fork();
}
