/* The libc at work: formatting and parsing of numbers, strings, time, sorting trees, wide characters, regular
 * expressions, memory allocation under load. */
#include "features.h"
#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <regex.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = mix(hash, (uint64_t)(unsigned char)*text);
    return hash;
}

static uint64_t numbers(void)
{
    uint64_t hash = MIX_START;
    uint32_t state = 21;
    char text[200];
    for (int round = 0; round < 20000; round++) {
        double fraction = (double)next_random(&state) + 0.5;
        double value = ldexp(fraction, (int)(next_random(&state) % 200) - 100);
        snprintf(text, sizeof text, "%.17g|%a|%10.3f|%-12d|%+08ld|%#o|%s", value, value, fmod(value, 1000), round,
                 (long)state, round, round % 2 ? "odd" : "even");
        hash = hash_text(hash, text);
        if (strtod(text, NULL) != value)
            printf("%s did not read back\n", text);
    }
    return hash;
}

static uint64_t memory(void)
{
    enum { SLOTS = 500 };
    char *slots[SLOTS] = {0};
    uint64_t hash = MIX_START;
    uint32_t state = 4;
    for (int round = 0; round < 100000; round++) {
        uint32_t slot = next_random(&state) % SLOTS;
        uint32_t size = next_random(&state) % (round % 100 ? 600 : 300000) + 1;
        if (slots[slot])
            hash = mix(hash, (uint64_t)(unsigned char)slots[slot][0]);
        char *block = round % 3 ? (free(slots[slot]), malloc(size)) : realloc(slots[slot], size);
        block[0] = (char)round;
        block[size - 1] = 1;
        slots[slot] = block;
    }
    for (int i = 0; i < SLOTS; i++)
        free(slots[i]);
    return hash;
}

static int compare(const void *a, const void *b) { return strcmp(a, b); }

static uint64_t text(void)
{
    regex_t pattern;
    regmatch_t match[3];
    uint64_t hash = MIX_START;
    void *tree = NULL;
    static char words[2000][16];
    regcomp(&pattern, "([a-z]+)-([0-9]*)7$", REG_EXTENDED);
    for (int i = 0; i < 2000; i++) {
        snprintf(words[i], sizeof words[i], "%c%c-%d", 'a' + i % 26, 'a' + i / 26 % 26, i * 37 % 1000);
        tsearch(words[i], &tree, compare);
        if (regexec(&pattern, words[i], 3, match, 0) == 0)
            hash = mix(hash, (uint64_t)(match[2].rm_eo - match[1].rm_so));
    }
    regfree(&pattern);
    for (int i = 0; i < 2000; i++) {
        hash = mix(hash, tfind(words[(i * 7) % 2000], &tree, compare) != NULL);
        tdelete(words[i], &tree, compare);
    }
    char line[] = "one,two;;three four";
    for (char *word = strtok(line, ",; "); word; word = strtok(NULL, ",; "))
        hash = hash_text(hash, word);
    return hash;
}

void library(void)
{
    printf("%016llx\n", (unsigned long long)numbers());
    printf("%016llx\n", (unsigned long long)memory());
    printf("%016llx\n", (unsigned long long)text());

    struct tm when;
    time_t moment = 1234567890;
    char date[64];
    strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S %j %a", gmtime_r(&moment, &when));
    printf("%s %ld\n", date, (long)timegm(&when));

    wchar_t wide[32];
    setlocale(LC_CTYPE, "C.UTF-8");
    size_t length = mbstowcs(wide, "gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac", 32);
    printf("%zu %x %ls\n", length, (unsigned)wide[2], wide);
    setlocale(LC_CTYPE, "C");
    printf("%.6f %.6f %.6f %ld %d\n", sin(1.0), pow(2.5, 3.5), lgamma(4.5), lround(2.5), toupper('x'));
}
