/* EP, embarrassingly parallel: pairs of normal deviates by the polar method, counted by square annuli. */
#include "npb.h"

enum { BATCH = 1 << 16, ANNULI = 10 };

static const struct {
    int log_pairs;
    double x, y;
} classes[CLASSES] = {
    {24, -3.247834652034740e3, -6.958407078382297e3},
    {25, -2.863319731645753e3, -6.320053679109499e3},
    {28, -4.295875165629892e3, -1.580732573678431e4},
};

static double uniform[2 * BATCH];

int main(int argc, char **argv)
{
    int class = npb_class(argc, argv, "EP");
    uint64_t batches = (UINT64_C(1) << classes[class].log_pairs) / BATCH;
    double sum_x = 0, sum_y = 0;
    uint64_t counts[ANNULI] = {0}, total = 0;

    for (uint64_t batch = 0; batch < batches; batch++) {
        uint64_t state = npb_skip(NPB_SEED, batch * 2 * BATCH);
        for (int i = 0; i < 2 * BATCH; i++)
            uniform[i] = npb_random(&state);
        for (int i = 0; i < BATCH; i++) {
            double x = 2 * uniform[2 * i] - 1, y = 2 * uniform[2 * i + 1] - 1;
            double square = x * x + y * y;
            if (square > 1)
                continue;
            double scale = sqrt(-2 * log(square) / square);
            x *= scale;
            y *= scale;
            counts[(int)fmax(fabs(x), fabs(y))]++;
            sum_x += x;
            sum_y += y;
        }
    }

    for (int i = 0; i < ANNULI; i++) {
        printf("annulus %d: %llu\n", i, (unsigned long long)counts[i]);
        total += counts[i];
    }
    printf("pairs: %llu\n", (unsigned long long)total);
    bool right = npb_check("sum of x", sum_x, classes[class].x, 1e-8);
    right &= npb_check("sum of y", sum_y, classes[class].y, 1e-8);
    return npb_verdict(right);
}
