/*
 * What BT, SP and LU share: the compressible Navier-Stokes equations on a cube, in the five variables density, momentum along x, y, z, and
 * energy, with a source term for which a polynomial is the exact solution.
 *
 * `change` is the right-hand side of du/dt; the three kernels differ in how they solve the implicit system for a step of time.
 */
#ifndef FLOW_H
#define FLOW_H

#include "npb.h"

/* Points along a side, and the distance of lines in memory: not a power of two, or they would share sets of the cache. */
enum { SIZE = 64, LINE = SIZE + 1, PLANE = LINE * LINE, POINTS = SIZE * PLANE, VARIABLES = 5, ENERGY = 4 };

/* Ratio of specific heats, and what follows from it. */
#define GAMMA 1.4
#define PRESSURE 0.4 /* GAMMA - 1 */
#define VISCOSITY 0.1
#define CONDUCTION (GAMMA * GAMMA * VISCOSITY) /* Prandtl number times GAMMA times viscosity, as the report has them */
#define FOUR_THIRDS (4.0 / 3)
/* Artificial dissipation, of the second order along x, y, z, and of the fourth. */
static const double second_dissipation[3] = {0.75, 0.75, 1.0};
static const double fourth_dissipation = 0.25;

static double u[POINTS][VARIABLES], rhs[POINTS][VARIABLES], source[POINTS][VARIABLES];
/* What derives from u: 1/density, velocity along x, y, z, and kinetic energy per volume. */
static double inverse_density[POINTS], velocity[3][POINTS], kinetic[POINTS];

/* The distance of neighbours in memory along x, y, z. */
static const long step_along[3] = {1, LINE, PLANE};

static inline long point(int k, int j, int i)
{
    return (long)k * PLANE + (long)j * LINE + i;
}

/* The solution at (x, y, z) in the unit cube. */
static void exact(double x, double y, double z, double result[VARIABLES])
{
    static const double c[VARIABLES][13] = {
        {2.0, 0.0, 0.0, 4.0, 5.0, 3.0, 0.5, 0.02, 0.01, 0.03, 0.5, 0.4, 0.3},
        {1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 0.01, 0.03, 0.02, 0.4, 0.3, 0.5},
        {2.0, 2.0, 0.0, 0.0, 0.0, 2.0, 3.0, 0.04, 0.03, 0.05, 0.3, 0.5, 0.4},
        {2.0, 2.0, 0.0, 0.0, 0.0, 2.0, 3.0, 0.03, 0.05, 0.04, 0.2, 0.1, 0.3},
        {5.0, 4.0, 3.0, 2.0, 0.1, 0.4, 0.3, 0.05, 0.04, 0.03, 0.1, 0.3, 0.2},
    };
    for (int m = 0; m < VARIABLES; m++)
        result[m] = c[m][0] + x * (c[m][1] + x * (c[m][4] + x * (c[m][7] + x * c[m][10]))) +
                    y * (c[m][2] + y * (c[m][5] + y * (c[m][8] + y * c[m][11]))) +
                    z * (c[m][3] + z * (c[m][6] + z * (c[m][9] + z * c[m][12])));
}

/* Fills u with the exact solution on the surface, and inside with what the report interpolates from it, or with the exact solution, too. */
static void fill(int n, bool exactly)
{
    double h = 1.0 / (n - 1);
    for (int k = 0; k < n; k++) {
        for (int j = 0; j < n; j++) {
            for (int i = 0; i < n; i++) {
                double x = i * h, y = j * h, z = k * h, sides[3][2][VARIABLES], *result = u[point(k, j, i)];
                bool surface = !i || !j || !k || i == n - 1 || j == n - 1 || k == n - 1;
                if (surface || exactly) {
                    exact(x, y, z, result);
                    continue;
                }
                for (int side = 0; side < 2; side++) {
                    exact(side, y, z, sides[0][side]);
                    exact(x, side, z, sides[1][side]);
                    exact(x, y, side, sides[2][side]);
                }
                for (int m = 0; m < VARIABLES; m++) {
                    double a = x * sides[0][1][m] + (1 - x) * sides[0][0][m];
                    double b = y * sides[1][1][m] + (1 - y) * sides[1][0][m];
                    double c = z * sides[2][1][m] + (1 - z) * sides[2][0][m];
                    result[m] = a + b + c - a * b - a * c - b * c + a * b * c;
                }
            }
        }
    }
}

/* Sets what derives from u. */
static void derive(int n)
{
    for (int k = 0; k < n; k++) {
        for (int j = 0; j < n; j++) {
            for (int i = 0; i < n; i++) {
                long at = point(k, j, i);
                double inverse = 1 / u[at][0];
                inverse_density[at] = inverse;
                for (int d = 0; d < 3; d++)
                    velocity[d][at] = u[at][1 + d] * inverse;
                kinetic[at] = 0.5 * (u[at][1] * u[at][1] + u[at][2] * u[at][2] + u[at][3] * u[at][3]) * inverse;
            }
        }
    }
}

/* The fourth difference at position p of a line of n points, one-sided next to its ends. */
static inline double fourth_difference(const double (*v)[VARIABLES], long step, int m, int p, int n)
{
    double centre = v[0][m], behind = v[-step][m], ahead = v[step][m];
    if (p == 1)
        return 5 * centre - 4 * ahead + v[2 * step][m];
    if (p == n - 2)
        return v[-2 * step][m] - 4 * behind + 5 * centre;
    double inner = 6 * centre - 4 * (behind + ahead);
    return inner + (p > 2 ? v[-2 * step][m] : 0) + (p < n - 3 ? v[2 * step][m] : 0);
}

/* Adds to rhs the change of u by fluxes along direction d. */
static inline void add_fluxes(int n, const int d)
{
    const long step = step_along[d];
    const double *speed = velocity[d];
    double h = 1.0 / (n - 1), central = 1 / (2 * h), second = second_dissipation[d] / (h * h), viscous = VISCOSITY / (h * h);
    for (int k = 1; k < n - 1; k++) {
        for (int j = 1; j < n - 1; j++) {
            for (int i = 1; i < n - 1; i++) {
                const long at = point(k, j, i), ahead = at + step, behind = at - step;
                const int position = d == 0 ? i : d == 1 ? j : k;
                double change[VARIABLES];
                /* Convection and pressure. */
                double pressure_ahead = PRESSURE * (u[ahead][ENERGY] - kinetic[ahead]);
                double pressure_behind = PRESSURE * (u[behind][ENERGY] - kinetic[behind]);
                change[0] = u[ahead][1 + d] - u[behind][1 + d];
                for (int m = 1; m < VARIABLES; m++)
                    change[m] = u[ahead][m] * speed[ahead] - u[behind][m] * speed[behind];
                change[1 + d] += pressure_ahead - pressure_behind;
                change[ENERGY] += pressure_ahead * speed[ahead] - pressure_behind * speed[behind];
                for (int m = 0; m < VARIABLES; m++)
                    change[m] *= -central;
                /* Viscosity and conduction of heat. */
                for (int e = 0; e < 3; e++)
                    change[1 + e] += viscous * (e == d ? FOUR_THIRDS : 1) *
                                     (velocity[e][ahead] - 2 * velocity[e][at] + velocity[e][behind]);
                change[ENERGY] +=
                    viscous * (1 - GAMMA * GAMMA) *
                        (kinetic[ahead] * inverse_density[ahead] - 2 * kinetic[at] * inverse_density[at] +
                         kinetic[behind] * inverse_density[behind]) +
                    viscous / 6 * (speed[ahead] * speed[ahead] - 2 * speed[at] * speed[at] + speed[behind] * speed[behind]) +
                    viscous * GAMMA * GAMMA *
                        (u[ahead][ENERGY] * inverse_density[ahead] - 2 * u[at][ENERGY] * inverse_density[at] +
                         u[behind][ENERGY] * inverse_density[behind]);
                /* Artificial dissipation. */
                for (int m = 0; m < VARIABLES; m++)
                    rhs[at][m] += change[m] + second * (u[ahead][m] - 2 * u[at][m] + u[behind][m]) -
                                  fourth_dissipation * fourth_difference(&u[at], step, m, position, n);
            }
        }
    }
}

/* Sets rhs inside to du/dt of the present u. */
static void change(int n)
{
    derive(n);
    for (int k = 1; k < n - 1; k++)
        for (int j = 1; j < n - 1; j++)
            for (int i = 1; i < n - 1; i++)
                for (int m = 0; m < VARIABLES; m++)
                    rhs[point(k, j, i)][m] = source[point(k, j, i)][m];
    add_fluxes(n, 0);
    add_fluxes(n, 1);
    add_fluxes(n, 2);
}

static void scale_rhs(int n, double factor)
{
    for (int k = 1; k < n - 1; k++)
        for (int j = 1; j < n - 1; j++)
            for (int i = 1; i < n - 1; i++)
                for (int m = 0; m < VARIABLES; m++)
                    rhs[point(k, j, i)][m] *= factor;
}

/* Sets the source so that the exact solution does not change, and u to what it is at first. */
static void begin(int n)
{
    fill(n, true);
    change(n);
    for (int at = 0; at < POINTS; at++)
        for (int m = 0; m < VARIABLES; m++)
            source[at][m] = -rhs[at][m];
    fill(n, false);
}

/*
 * How the flux along direction d depends on u at a point: the derivatives of the convective flux by the five variables, and those of the
 * viscous one.
 */
static inline void jacobians(long at, const int d, double convective[VARIABLES][VARIABLES], double viscous[VARIABLES][VARIABLES])
{
    const double *v = u[at];
    double inverse = inverse_density[at], square = inverse * inverse, cube = square * inverse;
    double along = v[1 + d], per_mass = kinetic[at] * inverse, energy = 0;

    memset(convective, 0, VARIABLES * sizeof *convective);
    memset(viscous, 0, VARIABLES * sizeof *viscous);
    convective[0][1 + d] = 1;
    for (int m = 1; m < ENERGY; m++) {
        double factor = (m == 1 + d ? FOUR_THIRDS : 1) * VISCOSITY;
        if (m == 1 + d) {
            convective[m][0] = -along * along * square + PRESSURE * per_mass;
            for (int e = 1; e < ENERGY; e++)
                convective[m][e] = -PRESSURE * v[e] * inverse;
            convective[m][m] = (2 - PRESSURE) * along * inverse;
            convective[m][ENERGY] = PRESSURE;
        } else {
            convective[m][0] = -along * v[m] * square;
            convective[m][1 + d] = v[m] * inverse;
            convective[m][m] = along * inverse;
        }
        convective[ENERGY][m] = -PRESSURE * along * v[m] * square;
        viscous[m][0] = -factor * square * v[m];
        viscous[m][m] = factor * inverse;
        viscous[ENERGY][m] = (factor - CONDUCTION) * square * v[m];
        energy -= (factor - CONDUCTION) * cube * v[m] * v[m];
    }
    convective[ENERGY][0] = (2 * PRESSURE * kinetic[at] - GAMMA * v[ENERGY]) * along * square;
    convective[ENERGY][1 + d] += GAMMA * v[ENERGY] * inverse - PRESSURE * per_mass;
    convective[ENERGY][ENERGY] = GAMMA * along * inverse;
    viscous[ENERGY][0] = energy - CONDUCTION * square * v[ENERGY];
    viscous[ENERGY][ENERGY] = CONDUCTION * inverse;
}

/* Adds rhs to u. */
static void add_rhs(int n, double factor)
{
    for (int k = 1; k < n - 1; k++)
        for (int j = 1; j < n - 1; j++)
            for (int i = 1; i < n - 1; i++)
                for (int m = 0; m < VARIABLES; m++)
                    u[point(k, j, i)][m] += factor * rhs[point(k, j, i)][m];
}

/* Checks the root mean squares of rhs and of the difference from the exact solution. */
static bool check_flow(int n, const double residuals[VARIABLES], const double errors[VARIABLES])
{
    double residual[VARIABLES] = {0}, error[VARIABLES] = {0}, solution[VARIABLES];
    double h = 1.0 / (n - 1), inside = (double)(n - 2) * (n - 2) * (n - 2);
    bool right = true;
    for (int k = 1; k < n - 1; k++) {
        for (int j = 1; j < n - 1; j++) {
            for (int i = 1; i < n - 1; i++) {
                long at = point(k, j, i);
                exact(i * h, j * h, k * h, solution);
                for (int m = 0; m < VARIABLES; m++) {
                    residual[m] += rhs[at][m] * rhs[at][m];
                    error[m] += (u[at][m] - solution[m]) * (u[at][m] - solution[m]);
                }
            }
        }
    }
    for (int m = 0; m < VARIABLES; m++)
        right &= npb_check("residual", sqrt(residual[m] / inside), residuals[m], 1e-8);
    for (int m = 0; m < VARIABLES; m++)
        right &= npb_check("error", sqrt(error[m] / inside), errors[m], 1e-8);
    return right;
}

#endif
