/* Rust's standard library asks for glibc's version to know whether `posix_spawn` reports that a program could not be
   executed, as glibc's does since 2.24 and this libc's always has. Other programs must not find this function: they would
   take the libc for glibc. */

const char *gnu_get_libc_version(void)
{
	return "2.24";
}
