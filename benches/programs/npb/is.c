/* IS, integer sort: ranks of keys by counting, ten times with two keys changed each time. */
#include "npb.h"

enum { ITERATIONS = 10, PROBES = 5 };

/* The published ranks of some keys. From one iteration to the next those of the first keys grow by one and those of the others shrink. */
static const struct {
    int log_keys, log_range;
    int growing, first;
    int index[PROBES], rank[PROBES];
} classes[CLASSES] = {
    {16, 11, 3, 0, {48427, 17148, 23627, 62548, 4431}, {0, 18, 346, 64917, 65463}},
    {20, 16, 2, 2, {357773, 934767, 875723, 898999, 404505}, {1249, 11698, 1039987, 1043896, 1048018}},
    {23, 19, 3, 1, {2112377, 662041, 5336171, 3642833, 4250760}, {104, 17523, 123928, 8288932, 8388264}},
};

/* How many keys are at most each value. */
static void rank(const int *keys, int count, int *ranks, int range)
{
    memset(ranks, 0, (size_t)range * sizeof *ranks);
    for (int i = 0; i < count; i++)
        ranks[keys[i]]++;
    for (int i = 1; i < range; i++)
        ranks[i] += ranks[i - 1];
}

int main(int argc, char **argv)
{
    int class = npb_class(argc, argv, "IS");
    int count = 1 << classes[class].log_keys, range = 1 << classes[class].log_range;
    int *keys = npb_allocate((size_t)count, sizeof *keys), *sorted = npb_allocate((size_t)count, sizeof *sorted);
    int *ranks = npb_allocate((size_t)range, sizeof *ranks);
    int passed = 0, misplaced = 0;
    uint64_t state = NPB_OTHER_SEED, sum = 0;

    for (int i = 0; i < count; i++) {
        double four = npb_random(&state);
        four += npb_random(&state);
        four += npb_random(&state);
        four += npb_random(&state);
        keys[i] = (int)(range / 4 * four);
    }
    for (int iteration = 1; iteration <= ITERATIONS; iteration++) {
        int probes[PROBES];
        keys[iteration] = iteration;
        keys[iteration + ITERATIONS] = range - iteration;
        for (int i = 0; i < PROBES; i++)
            probes[i] = keys[classes[class].index[i]];
        rank(keys, count, ranks, range);
        for (int i = 0; i < PROBES; i++) {
            /* The report ranks by the number of smaller keys. */
            int found = probes[i] > 0 ? ranks[probes[i] - 1] : 0;
            int published = classes[class].rank[i];
            if (i < classes[class].growing)
                published += iteration - classes[class].first;
            else
                published -= iteration - (class == CLASS_A);
            passed += found == published;
        }
    }
    for (int i = count - 1; i >= 0; i--)
        sorted[--ranks[keys[i]]] = keys[i];
    for (int i = 0; i < count; i++) {
        misplaced += i > 0 && sorted[i] < sorted[i - 1];
        sum = sum * 31 + (uint64_t)sorted[i];
    }

    printf("ranks as published: %d of %d\n", passed, ITERATIONS * PROBES);
    printf("out of order: %d\nhash of the sorted keys: %016llx\n", misplaced, (unsigned long long)sum);
    return npb_verdict(passed == ITERATIONS * PROBES && misplaced == 0);
}
