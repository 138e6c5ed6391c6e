/* float and double to __bf16, rounded to nearest, ties to even. compiler-rt of the pinned version has no __bf16. */
#include <stdint.h>

typedef union { float value; uint32_t bits; } single;
typedef union { uint16_t bits; __bf16 value; } brain;

static __bf16 truncate_bits(uint32_t bits)
{
	if ((bits & 0x7fffffff) > 0x7f800000)
		return (brain){ .bits = bits >> 16 | 0x40 }.value;
	return (brain){ .bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16 }.value;
}

__bf16 __truncsfbf2(float value)
{
	return truncate_bits((single){ value }.bits);
}

/* By way of a float rounded to odd, so that rounding twice does no harm. */
__bf16 __truncdfbf2(double value)
{
	single nearest = { (float)value };
	double back = nearest.value;
	if (back == back && back != value) {
		if (__builtin_fabs(back) > __builtin_fabs(value))
			nearest.bits--;
		nearest.bits |= 1;
	}
	return truncate_bits(nearest.bits);
}
