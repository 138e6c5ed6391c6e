/* Memory of the stack whose size is known at run time: VLAs, alloca, and both in recursion, with
 * addresses kept elsewhere. */
#include "features.h"
#include <alloca.h>
#include <stdio.h>
#include <string.h>

static const char *remembered[64];

static uint64_t with_vla(int rows, int columns, uint32_t *state)
{
    uint32_t matrix[rows][columns];
    uint32_t(*pointer)[columns] = matrix;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            pointer[i][j] = next_random(state);
    uint64_t hash = mix(MIX_START, sizeof matrix);
    for (int j = 0; j < columns; j++)
        for (int i = 0; i < rows; i++)
            hash = mix(hash, matrix[i][j]);
    return hash;
}

static uint64_t with_alloca(int depth, int pieces)
{
    uint64_t hash = MIX_START;
    char *last = NULL;
    for (int i = 1; i <= pieces; i++) {
        char *piece = alloca((size_t)(i * 3 % 97 + 2));
        memset(piece, i, (size_t)(i * 3 % 97 + 2));
        if (last)
            hash = mix(hash, (uint64_t)(unsigned char)last[0]);
        last = piece;
    }
    remembered[depth] = last;
    if (depth > 0)
        hash = mix(hash, with_alloca(depth - 1, pieces + 1));
    else
        for (int i = 0; i < 32; i++)
            hash = mix(hash, (uint64_t)(unsigned char)remembered[i][1]);
    /* What the frames below did must not have touched this one's. */
    return mix(hash, (uint64_t)(unsigned char)last[0] + (uint64_t)(unsigned char)remembered[depth][1]);
}

void stack_memory(void)
{
    uint32_t state = 1;
    uint64_t hash = MIX_START;
    for (int round = 1; round <= 4000; round++) {
        hash = mix(hash, with_vla(1 + round % 50, 1 + round % 70, &state));
        if (round % 4 == 0)
            hash = mix(hash, with_alloca(31, 1 + round % 100));
        /* A VLA in a loop is freed at the end of each turn. */
        char text[round % 300 + 1];
        memset(text, round, sizeof text);
        hash = mix(hash, (uint64_t)text[round % 300] + sizeof text);
    }
    printf("%016llx\n", (unsigned long long)hash);
}
