/* FT, Fourier transform: a diffusion equation in three dimensions, stepped in spectral space. */
#include "npb.h"

enum { ITERATIONS = 6, BLOCK = 16, MAX_SIZE = 256, PROBES = 1024 };

static const double diffusion = 1e-6;

struct complex {
    double real, imaginary;
};

static const struct {
    int size[3]; /* along x, y, z */
    struct complex sums[ITERATIONS];
} classes[CLASSES] = {
    {{64, 64, 64},
     {{5.546087004964e+02, 4.845363331978e+02},
      {5.546385409189e+02, 4.865304269511e+02},
      {5.546148406171e+02, 4.883910722336e+02},
      {5.545423607415e+02, 4.901273169046e+02},
      {5.544255039624e+02, 4.917475857993e+02},
      {5.542683411902e+02, 4.932597244941e+02}}},
    {{128, 128, 32},
     {{5.673612178944e+02, 5.293246849175e+02},
      {5.631436885271e+02, 5.282149986629e+02},
      {5.594024089970e+02, 5.270996558037e+02},
      {5.560698047020e+02, 5.260027904925e+02},
      {5.530898991250e+02, 5.249400845633e+02},
      {5.504159734538e+02, 5.239212247086e+02}}},
    {{256, 256, 128},
     {{5.046735008193e+02, 5.114047905510e+02},
      {5.059412319734e+02, 5.098809666433e+02},
      {5.069376896287e+02, 5.098144042213e+02},
      {5.077892868474e+02, 5.101336130759e+02},
      {5.085233095391e+02, 5.104914655194e+02},
      {5.091487099959e+02, 5.107917842803e+02}}},
};

/* exp(-2 pi i k / MAX_SIZE). */
static struct complex roots[MAX_SIZE];

static struct complex times(struct complex a, struct complex b)
{
    return (struct complex){a.real * b.real - a.imaginary * b.imaginary, a.real * b.imaginary + a.imaginary * b.real};
}

/* Transforms BLOCK lines of n numbers (Stockham's order, radix 2). The result is in the array that is returned. */
static struct complex (*transform_lines(int n, int sign, struct complex (*from)[BLOCK], struct complex (*to)[BLOCK]))[BLOCK]
{
    for (int half = n / 2, stride = 1; half >= 1; half /= 2, stride *= 2) {
        for (int p = 0; p < half; p++) {
            struct complex root = roots[p * stride * (MAX_SIZE / n)];
            root.imaginary *= sign;
            for (int q = 0; q < stride; q++) {
                const struct complex *a = from[q + stride * p], *b = from[q + stride * (p + half)];
                struct complex *sum = to[q + stride * 2 * p], *difference = to[q + stride * (2 * p + 1)];
                for (int i = 0; i < BLOCK; i++) {
                    struct complex d = {a[i].real - b[i].real, a[i].imaginary - b[i].imaginary};
                    sum[i] = (struct complex){a[i].real + b[i].real, a[i].imaginary + b[i].imaginary};
                    difference[i] = times(d, root);
                }
            }
        }
        struct complex (*before)[BLOCK] = from;
        from = to;
        to = before;
    }
    return from;
}

/*
 * Transforms along one dimension, of n points that are `step` apart. Lines that are transformed together start
 * `next` apart; there are `lines` such lines in each of `groups` groups, which start `group` apart.
 */
static void transform_dimension(struct complex *data, int sign, int n, long step, int lines, long next, int groups, long group)
{
    static struct complex one[MAX_SIZE][BLOCK], other[MAX_SIZE][BLOCK];
    for (int g = 0; g < groups; g++) {
        for (int first = 0; first < lines; first += BLOCK) {
            struct complex *start = data + g * group + first * next;
            for (int k = 0; k < n; k++)
                for (int i = 0; i < BLOCK; i++)
                    one[k][i] = start[k * step + i * next];
            struct complex (*result)[BLOCK] = transform_lines(n, sign, one, other);
            for (int k = 0; k < n; k++)
                for (int i = 0; i < BLOCK; i++)
                    start[k * step + i * next] = result[k][i];
        }
    }
}

/* Forward (sign 1) or backward (-1, not divided by the number of points). */
static void transform(struct complex *data, const int size[3], int sign)
{
    int x = size[0], y = size[1], z = size[2];
    long plane = (long)x * y;
    transform_dimension(data, sign, x, 1, y, x, z, plane);
    transform_dimension(data, sign, y, x, x, 1, z, plane);
    transform_dimension(data, sign, z, plane, x, 1, y, x);
}

/* The square of the wave number of the k-th of n components. */
static double square_of_wave(int k, int n)
{
    int wave = k < n / 2 ? k : k - n;
    return (double)wave * wave;
}

int main(int argc, char **argv)
{
    int class = npb_class(argc, argv, "FT");
    const int *size = classes[class].size;
    long total = (long)size[0] * size[1] * size[2];
    struct complex *spectrum = npb_allocate((size_t)total, sizeof *spectrum), *field = npb_allocate((size_t)total, sizeof *field);
    double *decay = npb_allocate((size_t)total, sizeof *decay);
    uint64_t state = NPB_OTHER_SEED;
    bool right = true;

    for (int k = 0; k < MAX_SIZE; k++)
        roots[k] = (struct complex){cos(2 * NPB_PI * k / MAX_SIZE), -sin(2 * NPB_PI * k / MAX_SIZE)};
    for (long i = 0; i < total; i++) {
        spectrum[i].real = npb_random(&state);
        spectrum[i].imaginary = npb_random(&state);
    }
    double *next_decay = decay;
    for (int z = 0; z < size[2]; z++)
        for (int y = 0; y < size[1]; y++)
            for (int x = 0; x < size[0]; x++) {
                double square = square_of_wave(x, size[0]) + square_of_wave(y, size[1]) + square_of_wave(z, size[2]);
                *next_decay++ = exp(-4 * diffusion * NPB_PI * NPB_PI * square);
            }
    transform(spectrum, size, 1);

    for (int iteration = 0; iteration < ITERATIONS; iteration++) {
        for (long i = 0; i < total; i++) {
            spectrum[i].real *= decay[i];
            spectrum[i].imaginary *= decay[i];
            field[i] = spectrum[i];
        }
        transform(field, size, -1);
        struct complex sum = {0, 0};
        for (long j = 1; j <= PROBES; j++) {
            const struct complex *probe = &field[(5 * j % size[2] * size[1] + 3 * j % size[1]) * size[0] + j % size[0]];
            sum.real += probe->real;
            sum.imaginary += probe->imaginary;
        }
        right &= npb_check("real", sum.real / (double)total, classes[class].sums[iteration].real, 1e-12);
        right &= npb_check("imaginary", sum.imaginary / (double)total, classes[class].sums[iteration].imaginary, 1e-12);
    }
    return npb_verdict(right);
}
