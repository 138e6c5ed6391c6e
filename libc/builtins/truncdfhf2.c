/* double to _Float16, in the calling convention of today's LLVM, which passes _Float16 as a floating-point value. */
#define SRC_DOUBLE
#define DST_HALF
#include "fp_trunc_impl.inc"

_Float16 __truncdfhf2(double value)
{
	union { uint16_t bits; _Float16 value; } half = { __truncXfYf2__(value) };
	return half.value;
}
