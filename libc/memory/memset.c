/* memset for x86-64, in the manner of memmove.c. */
#include "words.h"

/* From here on the processor's own filling is as fast. */
enum { LARGE = 2048 };

#define ENDS(type, value)                                                                                              \
    do {                                                                                                               \
        *(type *)d = (type)(value);                                                                                    \
        *(type *)(d + n - sizeof(type)) = (type)(value);                                                               \
    } while (0)

void *memset(void *to, int byte, size_t n)
{
    unsigned char *d = to;
    uint64_t word = (unsigned char)byte * 0x0101010101010101u;
    if (n < 16) {
        if (n >= 8)
            ENDS(word8, word);
        else if (n >= 4)
            ENDS(word4, word);
        else if (n >= 2)
            ENDS(word2, word);
        else if (n)
            *d = (unsigned char)word;
        return to;
    }
    if (n >= LARGE) {
        void *target = d;
        __asm__ volatile("rep stosb" : "+D"(target), "+c"(n) : "a"((unsigned char)byte) : "memory");
        return to;
    }
    word16 words = {word, word};
    unsigned char *end = d + n;
    *(word16 *)d = words;
    for (d += 16 - ((uintptr_t)d & 15); end - d > 64; d += 64) {
        *(word16 *)d = words;
        *(word16 *)(d + 16) = words;
        *(word16 *)(d + 32) = words;
        *(word16 *)(d + 48) = words;
    }
    for (; end - d > 16; d += 16)
        *(word16 *)d = words;
    *(word16 *)(end - 16) = words;
    return to;
}
