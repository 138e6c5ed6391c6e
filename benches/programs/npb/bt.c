/* BT, block tridiagonal: an implicit step of the flow equations as three sweeps, along x, y and z, of systems of 5x5 blocks. */
#include "flow.h"

static const struct {
    int size, steps;
    double time_step;
    double residuals[VARIABLES], errors[VARIABLES];
} classes[CLASSES] = {
    {12, 60, 0.010,
     {1.7034283709541311e-01, 1.2975252070034097e-02, 3.2527926989486055e-02, 2.6436421275166801e-02, 1.9211784131744430e-01},
     {4.9976913345811579e-04, 4.5195666782961927e-05, 7.3973765172921357e-05, 7.3821238632439731e-05, 8.9269630987491446e-04}},
    {24, 200, 0.0008,
     {1.125590409344e+02, 1.180007595731e+01, 2.710329767846e+01, 2.469174937669e+01, 2.638427874317e+02},
     {4.419655736008e+00, 4.638531260002e-01, 1.011551749967e+00, 9.235878729944e-01, 1.018045837718e+01}},
    {64, 200, 0.0008,
     {1.0806346714637264e+02, 1.1319730901220813e+01, 2.5974354511582465e+01, 2.3665622544678910e+01, 2.5278963211748344e+02},
     {4.2348416040525025e+00, 4.4390282496995698e-01, 9.6692480136345650e-01, 8.8302063039765474e-01, 9.7379901770829278e+00}},
};

typedef double block[VARIABLES][VARIABLES];

/* The three blocks of each row of one line's system: what multiplies the point before, the point itself and the point after. */
static block below[SIZE], diagonal[SIZE], above[SIZE];
static block convective[SIZE], viscous[SIZE];

/* v -= a w. */
static inline void subtract_product(block a, const double w[VARIABLES], double v[VARIABLES])
{
    for (int m = 0; m < VARIABLES; m++)
        v[m] -= a[m][0] * w[0] + a[m][1] * w[1] + a[m][2] * w[2] + a[m][3] * w[3] + a[m][4] * w[4];
}

/* c -= a b. */
static inline void subtract_block_product(block a, block b, block c)
{
    for (int m = 0; m < VARIABLES; m++)
        for (int n = 0; n < VARIABLES; n++)
            c[m][n] -= a[m][0] * b[0][n] + a[m][1] * b[1][n] + a[m][2] * b[2][n] + a[m][3] * b[3][n] + a[m][4] * b[4][n];
}

/* Multiplies c and v by the inverse of a, which it overwrites. */
static void solve_block(block a, block c, double v[VARIABLES])
{
    for (int pivot = 0; pivot < VARIABLES; pivot++) {
        double inverse = 1 / a[pivot][pivot];
        for (int n = pivot + 1; n < VARIABLES; n++)
            a[pivot][n] *= inverse;
        for (int n = 0; n < VARIABLES; n++)
            c[pivot][n] *= inverse;
        v[pivot] *= inverse;
        for (int row = 0; row < VARIABLES; row++) {
            if (row == pivot)
                continue;
            double factor = a[row][pivot];
            for (int n = pivot + 1; n < VARIABLES; n++)
                a[row][n] -= factor * a[pivot][n];
            for (int n = 0; n < VARIABLES; n++)
                c[row][n] -= factor * c[pivot][n];
            v[row] -= factor * v[pivot];
        }
    }
}

/* Solves the system of the line that starts at `start`. */
static inline void solve_line(int n, long start, const int d, double time_step)
{
    const long step = step_along[d];
    double h = 1.0 / (n - 1), first = time_step / (2 * h), second = time_step / (h * h);
    for (int p = 0; p < n; p++)
        jacobians(start + p * step, d, convective[p], viscous[p]);

    /* The ends do not change. */
    memset(above[0], 0, sizeof above[0]);
    for (int p = 1; p < n - 1; p++) {
        for (int row = 0; row < VARIABLES; row++) {
            for (int m = 0; m < VARIABLES; m++) {
                double unit = row == m, damping = second * second_dissipation[d] * unit;
                below[p][row][m] = -first * convective[p - 1][row][m] - second * viscous[p - 1][row][m] - damping;
                diagonal[p][row][m] = unit + 2 * second * viscous[p][row][m] + 2 * damping;
                above[p][row][m] = first * convective[p + 1][row][m] - second * viscous[p + 1][row][m] - damping;
            }
        }
    }
    for (int p = 1; p < n - 1; p++) {
        double *v = rhs[start + p * step];
        subtract_product(below[p], rhs[start + (p - 1) * step], v);
        subtract_block_product(below[p], above[p - 1], diagonal[p]);
        solve_block(diagonal[p], above[p], v);
    }
    for (int p = n - 2; p > 0; p--)
        subtract_product(above[p], rhs[start + (p + 1) * step], rhs[start + p * step]);
}

/* Solves all lines along direction d. */
static void sweep(int n, const int d, double time_step)
{
    const long one = step_along[d == 0 ? 1 : 0], other = step_along[d == 2 ? 1 : 2];
    for (int k = 1; k < n - 1; k++)
        for (int j = 1; j < n - 1; j++)
            solve_line(n, k * other + j * one, d, time_step);
}

int main(int argc, char **argv)
{
    int class = npb_class(argc, argv, "BT");
    int n = classes[class].size;
    double time_step = classes[class].time_step;
    begin(n);
    for (int step = 0; step < classes[class].steps; step++) {
        change(n);
        scale_rhs(n, time_step);
        sweep(n, 0, time_step);
        sweep(n, 1, time_step);
        sweep(n, 2, time_step);
        add_rhs(n, 1);
    }
    change(n);
    return npb_verdict(check_flow(n, classes[class].residuals, classes[class].errors));
}
