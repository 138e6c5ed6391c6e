/* SSE4.2: portable code by SIMDe. docs/libc.md says what is there. */
#pragma once

#ifndef SIMDE_ENABLE_NATIVE_ALIASES
#define SIMDE_ENABLE_NATIVE_ALIASES
#endif
#include <simde/x86/sse4.2.h>
#include <smmintrin.h>
