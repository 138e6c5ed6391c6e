/* Programs are static: docs/dynamic.md tells why, and what would have to be there. */
#include <dlfcn.h>
#include "dynlink.h"

void *dlopen(const char *file, int mode)
{
	__dl_seterr("%s: programs of several ISAs load no libraries; link what it has into the program", file ? file : "the program itself");
	return 0;
}
