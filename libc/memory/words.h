/* Words at any address, for memmove.c and memset.c. */
#include <stddef.h>
#include <stdint.h>

#define ANYWHERE aligned(1), may_alias
typedef uint16_t word2 __attribute__((ANYWHERE));
typedef uint32_t word4 __attribute__((ANYWHERE));
typedef uint64_t word8 __attribute__((ANYWHERE));
typedef uint64_t word16 __attribute__((vector_size(16), ANYWHERE));
