/* _Float16 to float, in the calling convention of today's LLVM, which passes _Float16 as a floating-point value. */
#define SRC_HALF
#define DST_SINGLE
#include "fp_extend_impl.inc"

float __extendhfsf2(_Float16 value)
{
	union { _Float16 value; uint16_t bits; } half = { value };
	return __extendXfYf2__(half.bits);
}
