/* Up to AVX2, and F16C: portable code by SIMDe. docs/libc.md says what is there. */
#pragma once

#ifndef SIMDE_ENABLE_NATIVE_ALIASES
#define SIMDE_ENABLE_NATIVE_ALIASES
#endif
#include <simde/x86/avx2.h>
#include <simde/x86/f16c.h>
#include <nmmintrin.h>
#include <wmmintrin.h>
