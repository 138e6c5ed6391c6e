/* Entry into the libc. The runtime has set up the thread, and a copy in portable memory of the stack as
 * the kernel lays it out (x86-64 psABI section 3.4.1): argc, argv, envp, auxiliary vector. */

int main(int, char **, char **);
int __libc_start_main(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void));

static void nothing(void)
{
}

_Noreturn void __maize_libc_start(long *initial_stack)
{
	int argc = initial_stack[0];
	char **argv = (char **)(initial_stack + 1);
	__libc_start_main(main, argc, argv, nothing, nothing, 0);
	__builtin_unreachable();
}
