/* LU: an implicit step of the flow equations by symmetric successive over-relaxation, a lower and an upper triangular system. */
#include "flow.h"

static const double relaxation = 1.2;

static const struct {
    int size, steps;
    double time_step;
    double residuals[VARIABLES], errors[VARIABLES], integral;
} classes[CLASSES] = {
    {12, 50, 0.5,
     {1.6196343210976702e-02, 2.1976745164821318e-03, 1.5179927653399185e-03, 1.5029584435994323e-03, 3.4264073155896461e-02},
     {6.4223319957960924e-04, 8.4144342047347926e-05, 5.8588269616485186e-05, 5.8474222595157350e-05, 1.3103347914111294e-03},
     7.8418928865937083},
    {33, 300, 1.5e-3,
     {0.1236511638192e+02, 0.1317228477799e+01, 0.2550120713095e+01, 0.2326187750252e+01, 0.2826799444189e+02},
     {0.4867877144216e+00, 0.5064652880982e-01, 0.9281818101960e-01, 0.8570126542733e-01, 0.1084277417792e+01},
     0.1161399311023e+02},
    {64, 250, 2.0,
     {7.7902107606689367e+02, 6.3402765259692870e+01, 1.9499249727292479e+02, 1.7845301160418537e+02, 1.8384760349464247e+03},
     {2.9964085685471943e+01, 2.8194576365003349e+00, 7.3473412698774742e+00, 6.7139225687777051e+00, 7.0715315688392578e+01},
     2.6030925604886277e+01},
};

typedef double block[VARIABLES][VARIABLES];

/* The diagonal block of a point. */
static inline void diagonal_block(long at, double h, double time_step, block result)
{
    double second = 2 * time_step / (h * h);
    block convective, viscous;
    for (int row = 0; row < VARIABLES; row++)
        for (int m = 0; m < VARIABLES; m++)
            result[row][m] =
                row == m ? 1 + second * (second_dissipation[0] + second_dissipation[1] + second_dissipation[2]) : 0;
    for (int d = 0; d < 3; d++) {
        jacobians(at, d, convective, viscous);
        for (int row = 0; row < VARIABLES; row++)
            for (int m = 0; m < VARIABLES; m++)
                result[row][m] += second * viscous[row][m];
    }
}

/* v -= the block of the neighbour in direction d, before (side -1) or after (side 1) the point, times the neighbour's rhs. */
static inline void subtract_neighbour(long neighbour, const int d, const int side, double h, double time_step, double v[VARIABLES])
{
    double first = side * time_step / (2 * h), second = time_step / (h * h);
    const double *w = rhs[neighbour];
    block convective, viscous;
    jacobians(neighbour, d, convective, viscous);
    for (int row = 0; row < VARIABLES; row++) {
        double sum = -second * second_dissipation[d] * w[row];
        for (int m = 0; m < VARIABLES; m++)
            sum += (first * convective[row][m] - second * viscous[row][m]) * w[m];
        v[row] -= relaxation * sum;
    }
}

/* Solves a v = v; overwrites a. */
static inline void solve_block(block a, double v[VARIABLES])
{
    for (int pivot = 0; pivot < VARIABLES; pivot++) {
        double inverse = 1 / a[pivot][pivot];
        for (int row = pivot + 1; row < VARIABLES; row++) {
            double factor = inverse * a[row][pivot];
            for (int m = pivot + 1; m < VARIABLES; m++)
                a[row][m] -= factor * a[pivot][m];
            v[row] -= factor * v[pivot];
        }
    }
    for (int row = VARIABLES - 1; row >= 0; row--) {
        for (int m = row + 1; m < VARIABLES; m++)
            v[row] -= a[row][m] * v[m];
        v[row] /= a[row][row];
    }
}

/* Solves the lower triangular system for a point, all points before it being solved. */
static void solve_lower(long at, double h, double time_step)
{
    block diagonal;
    subtract_neighbour(at - PLANE, 2, -1, h, time_step, rhs[at]);
    subtract_neighbour(at - LINE, 1, -1, h, time_step, rhs[at]);
    subtract_neighbour(at - 1, 0, -1, h, time_step, rhs[at]);
    diagonal_block(at, h, time_step, diagonal);
    solve_block(diagonal, rhs[at]);
}

/* Solves the upper triangular system for a point, all points after it being solved. */
static void solve_upper(long at, double h, double time_step)
{
    double correction[VARIABLES] = {0};
    block diagonal;
    subtract_neighbour(at + PLANE, 2, 1, h, time_step, correction);
    subtract_neighbour(at + LINE, 1, 1, h, time_step, correction);
    subtract_neighbour(at + 1, 0, 1, h, time_step, correction);
    diagonal_block(at, h, time_step, diagonal);
    solve_block(diagonal, correction);
    for (int m = 0; m < VARIABLES; m++)
        rhs[at][m] += correction[m];
}

static double pressure(int k, int j, int i)
{
    const double *v = u[point(k, j, i)];
    return PRESSURE * (v[ENERGY] - 0.5 * (v[1] * v[1] + v[2] * v[2] + v[3] * v[3]) / v[0]);
}

/* The integral of the pressure over the surface of the inner box that the report chooses. */
static double surface_integral(int n)
{
    const int first[3] = {1, 1, 2}, last[3] = {n - 2, n - 3, n - 2};
    double h = 1.0 / (n - 1), sum = 0;
    for (int d = 0; d < 3; d++) {
        int a = d == 0 ? 1 : 0, b = d == 2 ? 1 : 2, at[3];
        for (int face = 0; face < 2; face++) {
            at[d] = face ? last[d] : first[d];
            for (int p = first[a]; p <= last[a]; p++) {
                for (int q = first[b]; q <= last[b]; q++) {
                    at[a] = p;
                    at[b] = q;
                    /* Each cell has four corners; those on an edge belong to fewer cells. */
                    double cells = (p > first[a]) + (p < last[a]);
                    cells *= (q > first[b]) + (q < last[b]);
                    sum += cells * pressure(at[2], at[1], at[0]);
                }
            }
        }
    }
    return 0.25 * sum * h * h;
}

int main(int argc, char **argv)
{
    int class = npb_class(argc, argv, "LU");
    int n = classes[class].size;
    double time_step = classes[class].time_step, h = 1.0 / (n - 1);
    begin(n);
    change(n);
    for (int step = 0; step < classes[class].steps; step++) {
        scale_rhs(n, time_step);
        for (int k = 1; k < n - 1; k++)
            for (int j = 1; j < n - 1; j++)
                for (int i = 1; i < n - 1; i++)
                    solve_lower(point(k, j, i), h, time_step);
        for (int k = n - 2; k > 0; k--)
            for (int j = n - 2; j > 0; j--)
                for (int i = n - 2; i > 0; i--)
                    solve_upper(point(k, j, i), h, time_step);
        add_rhs(n, 1 / (relaxation * (2 - relaxation)));
        change(n);
    }
    bool right = check_flow(n, classes[class].residuals, classes[class].errors);
    right &= npb_check("integral", surface_integral(n), classes[class].integral, 1e-8);
    return npb_verdict(right);
}
