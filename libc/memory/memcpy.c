/* memcpy for x86-64: memmove does not cost more. */
#define FUNCTION memcpy
#include "memmove.c"
