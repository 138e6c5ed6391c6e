/* SP, scalar pentadiagonal: an implicit step of the flow equations, diagonalised, as sweeps of scalar systems along x, y and z. */
#include "flow.h"

static const struct {
    int size, steps;
    double time_step;
    double residuals[VARIABLES], errors[VARIABLES];
} classes[CLASSES] = {
    {12, 100, 0.015,
     {2.7470315451339479e-02, 1.0360746705285417e-02, 1.6235745065095532e-02, 1.5840557224455615e-02, 3.4849040609362460e-02},
     {2.7289258557377227e-05, 1.0364446640837285e-05, 1.6154798287166471e-05, 1.5750704994480102e-05, 3.4177666183390531e-05}},
    {36, 400, 0.0015,
     {0.1893253733584e-02, 0.1717075447775e-03, 0.2778153350936e-03, 0.2887475409984e-03, 0.3143611161242e-02},
     {0.7542088599534e-04, 0.6512852253086e-05, 0.1049092285688e-04, 0.1128838671535e-04, 0.1212845639773e-03}},
    {64, 400, 0.0015,
     {2.4799822399300195, 1.1276337964368832, 1.5028977888770491, 1.4217816211695179, 2.1292113035138280},
     {1.0900140297820550e-04, 3.7343951769282091e-05, 5.0092785406541633e-05, 4.7671093939528255e-05, 1.3621613399213001e-04}},
};

/* The five diagonals of a line's system, for the three waves that travel with the flow, and for those that travel faster and slower by the
 * speed of sound. */
enum { FLOW, FASTER, SLOWER, WAVES };
typedef double row[5];
static row system_of[WAVES][SIZE];
static double sound[POINTS];
static double root_half;

/* From the change of u to that of the waves along x. */
static void to_waves(int n)
{
    for (int k = 1; k < n - 1; k++) {
        for (int j = 1; j < n - 1; j++) {
            for (int i = 1; i < n - 1; i++) {
                long at = point(k, j, i);
                double *r = rhs[at], x = velocity[0][at], y = velocity[1][at], z = velocity[2][at];
                double inverse = inverse_density[at], c = sound[at];
                double r0 = r[0], r1 = r[1], r2 = r[2], r3 = r[3];
                double a = PRESSURE / (c * c) * (kinetic[at] * inverse * r0 - x * r1 - y * r2 - z * r3 + r[ENERGY]);
                double b = root_half * inverse * (x * r0 - r1), d = root_half * inverse * c * a;
                r[0] = r0 - a;
                r[1] = -inverse * (z * r0 - r3);
                r[2] = inverse * (y * r0 - r2);
                r[3] = d - b;
                r[4] = d + b;
            }
        }
    }
}

/* From the waves along x to those along y. */
static inline void from_x_to_y(double r[VARIABLES])
{
    double r0 = r[0], r1 = r[1], mixed = root_half * r[2], mean = 0.5 * (r[3] + r[4]);
    r[2] = root_half * (r[3] - r[4]);
    r[0] = -r1;
    r[1] = r0;
    r[3] = mean - mixed;
    r[4] = mean + mixed;
}

/* From the waves along y to those along z. */
static inline void from_y_to_z(double r[VARIABLES])
{
    double r1 = r[1], r2 = r[2], mixed = root_half * r[0], mean = 0.5 * (r[3] + r[4]);
    r[0] = root_half * (r[3] - r[4]);
    r[1] = -r2;
    r[2] = r1;
    r[3] = mean - mixed;
    r[4] = mean + mixed;
}

/* From the waves along z to the change of u. */
static void from_waves(int n)
{
    for (int k = 1; k < n - 1; k++) {
        for (int j = 1; j < n - 1; j++) {
            for (int i = 1; i < n - 1; i++) {
                long at = point(k, j, i);
                double *r = rhs[at], x = velocity[0][at], y = velocity[1][at], z = velocity[2][at];
                double c = sound[at], density = u[at][0], scale = root_half * density;
                double r0 = r[0], r1 = r[1];
                double a = scale / c * (r[3] + r[4]), b = r[2] + a, d = scale * (r[3] - r[4]);
                r[0] = b;
                r[1] = -density * r1 + x * b;
                r[2] = density * r0 + y * b;
                r[3] = z * b + d;
                r[4] = density * (y * r0 - x * r1) + kinetic[at] * inverse_density[at] * b + c * c * a / PRESSURE + z * d;
            }
        }
    }
}

/* Sets the systems of a line. */
static void set_systems(int n, long start, int d, double time_step)
{
    const long step = step_along[d];
    double h = 1.0 / (n - 1), first = time_step / (2 * h), second = time_step / (h * h), fourth = time_step * fourth_dissipation;
    double damping[SIZE];
    for (int p = 0; p < n; p++) {
        double viscous = VISCOSITY * inverse_density[start + p * step], base = second_dissipation[d];
        damping[p] = base + fmax(fmax(FOUR_THIRDS * viscous, GAMMA * GAMMA * viscous), viscous);
    }
    for (int wave = FLOW; wave < WAVES; wave++) {
        double faster = wave == FASTER ? 1 : wave == SLOWER ? -1 : 0;
        row *rows = system_of[wave];
        for (int p = 0; p < n; p++) {
            rows[p][0] = rows[p][1] = rows[p][3] = rows[p][4] = 0;
            rows[p][2] = 1;
        }
        for (int p = 1; p < n - 1; p++) {
            long before = start + (p - 1) * step, after = start + (p + 1) * step;
            rows[p][1] = -first * (velocity[d][before] + faster * sound[before]) - second * damping[p - 1];
            rows[p][2] = 1 + 2 * second * damping[p];
            rows[p][3] = first * (velocity[d][after] + faster * sound[after]) - second * damping[p + 1];
            bool end = p == 1 || p == n - 2;
            rows[p][0] += p > 2 ? fourth : 0;
            rows[p][1] -= p > 1 ? 4 * fourth : 0;
            rows[p][2] += end ? 5 * fourth : 6 * fourth;
            rows[p][3] -= p < n - 2 ? 4 * fourth : 0;
            rows[p][4] += p < n - 3 ? fourth : 0;
        }
    }
}

/* Solves one system for the variables from `first` up to `last`. */
static inline void solve_system(int n, row *rows, double *r, long step, const int first, const int last)
{
    for (int p = 0; p < n; p++, r += step) {
        double factor = 1 / rows[p][2];
        rows[p][3] *= factor;
        rows[p][4] *= factor;
        for (int m = first; m <= last; m++)
            r[m] *= factor;
        for (int next = 1; next <= 2 && p + next < n; next++) {
            /* Of the row `next` further on, what multiplies this point. */
            double *below = rows[p + next] + 2 - next, multiple = below[0];
            below[1] -= multiple * rows[p][3];
            below[2] -= multiple * rows[p][4];
            for (int m = first; m <= last; m++)
                r[next * step + m] -= multiple * r[m];
        }
    }
    r -= 2 * step;
    for (int m = first; m <= last; m++)
        r[m] -= rows[n - 2][3] * r[step + m];
    for (int p = n - 3; p >= 0; p--) {
        r -= step;
        for (int m = first; m <= last; m++)
            r[m] -= rows[p][3] * r[step + m] + rows[p][4] * r[2 * step + m];
    }
}

/* Solves all lines along direction d. */
static void sweep(int n, const int d, double time_step)
{
    const long one = step_along[d == 0 ? 1 : 0], other = step_along[d == 2 ? 1 : 2];
    for (int k = 1; k < n - 1; k++) {
        for (int j = 1; j < n - 1; j++) {
            long start = k * other + j * one;
            set_systems(n, start, d, time_step);
            solve_system(n, system_of[FLOW], rhs[start], step_along[d] * VARIABLES, 0, 2);
            solve_system(n, system_of[FASTER], rhs[start], step_along[d] * VARIABLES, 3, 3);
            solve_system(n, system_of[SLOWER], rhs[start], step_along[d] * VARIABLES, 4, 4);
        }
    }
}

int main(int argc, char **argv)
{
    int class = npb_class(argc, argv, "SP");
    int n = classes[class].size;
    double time_step = classes[class].time_step;
    root_half = sqrt(0.5);
    begin(n);
    for (int step = 0; step < classes[class].steps; step++) {
        change(n);
        scale_rhs(n, time_step);
        for (int k = 0; k < n; k++)
            for (int j = 0; j < n; j++)
                for (int i = 0; i < n; i++) {
                    long at = point(k, j, i);
                    sound[at] = sqrt(GAMMA * PRESSURE * inverse_density[at] * (u[at][ENERGY] - kinetic[at]));
                }
        to_waves(n);
        sweep(n, 0, time_step);
        for (int at = 0; at < n * PLANE; at++)
            from_x_to_y(rhs[at]);
        sweep(n, 1, time_step);
        for (int at = 0; at < n * PLANE; at++)
            from_y_to_z(rhs[at]);
        sweep(n, 2, time_step);
        from_waves(n);
        add_rhs(n, 1);
    }
    change(n);
    return npb_verdict(check_flow(n, classes[class].residuals, classes[class].errors));
}
