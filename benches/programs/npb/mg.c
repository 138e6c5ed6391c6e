/* MG, multigrid: V-cycles for Poisson's equation on a periodic cube. */
#include "npb.h"

enum { ITERATIONS = 4, CHARGES = 10, MAX_LEVELS = 8 };

static const struct {
    int levels;
    double norm;
} classes[CLASSES] = {
    {5, 0.5307707005734e-4},
    {7, 0.6467329375339e-5},
    {8, 0.2433365309069e-5},
};

/* Weights of the centre, the faces, the edges and the corners of a cube of 27 points: the operator (no faces), and the smoother (no corners). */
static const double operator_centre = -8.0 / 3, operator_edge = 1.0 / 6, operator_corner = 1.0 / 12;
static const double smoother_centre = -3.0 / 8, smoother_face = 1.0 / 32, smoother_edge = -1.0 / 64;

/* Copies the sides to the layers beyond the opposite sides. All grids have n points in each direction, two of them such layers. */
static void wrap(int n, double (*u)[n][n])
{
    for (int k = 1; k < n - 1; k++) {
        for (int j = 1; j < n - 1; j++) {
            u[k][j][0] = u[k][j][n - 2];
            u[k][j][n - 1] = u[k][j][1];
        }
        memcpy(u[k][0], u[k][n - 2], sizeof u[k][0]);
        memcpy(u[k][n - 1], u[k][1], sizeof u[k][0]);
    }
    memcpy(u[0], u[n - 2], sizeof u[0]);
    memcpy(u[n - 1], u[1], sizeof u[0]);
}

/* r = v - A u; v may be r. */
static void residual(int n, double (*u)[n][n], double (*v)[n][n], double (*r)[n][n], double *face, double *edge)
{
    for (int k = 1; k < n - 1; k++) {
        for (int j = 1; j < n - 1; j++) {
            for (int i = 0; i < n; i++) {
                face[i] = u[k][j - 1][i] + u[k][j + 1][i] + u[k - 1][j][i] + u[k + 1][j][i];
                edge[i] = u[k - 1][j - 1][i] + u[k - 1][j + 1][i] + u[k + 1][j - 1][i] + u[k + 1][j + 1][i];
            }
            for (int i = 1; i < n - 1; i++)
                r[k][j][i] = v[k][j][i] - operator_centre * u[k][j][i] - operator_edge * (edge[i] + face[i - 1] + face[i + 1]) -
                             operator_corner * (edge[i - 1] + edge[i + 1]);
        }
    }
    wrap(n, r);
}

/* u += S r. */
static void smooth(int n, double (*r)[n][n], double (*u)[n][n], double *face, double *edge)
{
    for (int k = 1; k < n - 1; k++) {
        for (int j = 1; j < n - 1; j++) {
            for (int i = 0; i < n; i++) {
                face[i] = r[k][j - 1][i] + r[k][j + 1][i] + r[k - 1][j][i] + r[k + 1][j][i];
                edge[i] = r[k - 1][j - 1][i] + r[k - 1][j + 1][i] + r[k + 1][j - 1][i] + r[k + 1][j + 1][i];
            }
            for (int i = 1; i < n - 1; i++)
                u[k][j][i] += smoother_centre * r[k][j][i] + smoother_face * (r[k][j][i - 1] + r[k][j][i + 1] + face[i]) +
                              smoother_edge * (edge[i] + face[i - 1] + face[i + 1]);
        }
    }
    wrap(n, u);
}

/* The average of a fine grid on a coarse one of m points: point j of the coarse grid is point 2j of the fine one. */
static void restrict_to(int n, double (*fine)[n][n], int m, double (*coarse)[m][m])
{
    for (int k = 1; k < m - 1; k++) {
        for (int j = 1; j < m - 1; j++) {
            for (int i = 1; i < m - 1; i++) {
                double face = 0, edge = 0, corner = 0;
                int z = 2 * k, y = 2 * j, x = 2 * i;
                for (int side = -1; side <= 1; side += 2) {
                    face += fine[z][y][x + side] + fine[z][y + side][x] + fine[z + side][y][x];
                    edge += fine[z][y - 1][x + side] + fine[z][y + 1][x + side] + fine[z - 1][y][x + side] +
                            fine[z + 1][y][x + side] + fine[z - 1][y + side][x] + fine[z + 1][y + side][x];
                    corner += fine[z - 1][y - 1][x + side] + fine[z - 1][y + 1][x + side] + fine[z + 1][y - 1][x + side] +
                              fine[z + 1][y + 1][x + side];
                }
                coarse[k][j][i] = 0.5 * fine[z][y][x] + 0.25 * face + 0.125 * edge + 0.0625 * corner;
            }
        }
    }
    wrap(m, coarse);
}

/* Adds to a fine grid what lies between the points of a coarse one. */
static void interpolate(int m, double (*coarse)[m][m], int n, double (*fine)[n][n])
{
    for (int k = 0; k < m - 1; k++) {
        for (int j = 0; j < m - 1; j++) {
            double *row = fine[2 * k][2 * j], *right = fine[2 * k][2 * j + 1];
            double *above = fine[2 * k + 1][2 * j], *across = fine[2 * k + 1][2 * j + 1];
            const double *c = coarse[k][j], *c_right = coarse[k][j + 1], *c_above = coarse[k + 1][j], *c_across = coarse[k + 1][j + 1];
            for (int i = 0; i < m - 1; i++) {
                double two = c[i] + c_right[i], next_two = c[i + 1] + c_right[i + 1];
                double up = c[i] + c_above[i], next_up = c[i + 1] + c_above[i + 1];
                double four = two + c_above[i] + c_across[i], next_four = next_two + c_above[i + 1] + c_across[i + 1];
                row[2 * i] += c[i];
                row[2 * i + 1] += 0.5 * (c[i] + c[i + 1]);
                right[2 * i] += 0.5 * two;
                right[2 * i + 1] += 0.25 * (two + next_two);
                above[2 * i] += 0.5 * up;
                above[2 * i + 1] += 0.25 * (up + next_up);
                across[2 * i] += 0.25 * four;
                across[2 * i + 1] += 0.125 * (four + next_four);
            }
        }
    }
}

/* One place and its random number; the ten greatest become positive charges, the ten least negative ones. */
struct charge {
    double value;
    long place;
};

/* Keeps a list of the greatest, greatest last. */
static void keep(struct charge *list, double value, long place)
{
    if (value <= list[0].value)
        return;
    int i = 1;
    for (; i < CHARGES && list[i].value < value; i++)
        list[i - 1] = list[i];
    list[i - 1] = (struct charge){value, place};
}

static void place_charges(int n, double (*v)[n][n])
{
    struct charge greatest[CHARGES], least[CHARGES];
    uint64_t state = NPB_OTHER_SEED;
    for (int i = 0; i < CHARGES; i++)
        greatest[i] = least[i] = (struct charge){-2, 0};
    for (int k = 1; k < n - 1; k++) {
        for (int j = 1; j < n - 1; j++) {
            for (int i = 1; i < n - 1; i++) {
                double value = npb_random(&state);
                long place = ((long)k * n + j) * n + i;
                keep(greatest, value, place);
                keep(least, -value, place);
            }
        }
    }
    for (int i = 0; i < CHARGES; i++) {
        (**v)[greatest[i].place] = 1;
        (**v)[least[i].place] = -1;
    }
    wrap(n, v);
}

static double norm(int n, double (*r)[n][n])
{
    double sum = 0;
    for (int k = 1; k < n - 1; k++)
        for (int j = 1; j < n - 1; j++)
            for (int i = 1; i < n - 1; i++)
                sum += r[k][j][i] * r[k][j][i];
    return sqrt(sum / ((double)(n - 2) * (n - 2) * (n - 2)));
}

int main(int argc, char **argv)
{
    int class = npb_class(argc, argv, "MG");
    int top = classes[class].levels - 1, sizes[MAX_LEVELS];
    void *u[MAX_LEVELS], *r[MAX_LEVELS];
    for (int level = 0; level <= top; level++) {
        size_t size = (size_t)(sizes[level] = (2 << level) + 2);
        u[level] = npb_allocate(size * size * size, sizeof(double));
        r[level] = npb_allocate(size * size * size, sizeof(double));
    }
    int n = sizes[top];
    void *v = npb_allocate((size_t)n * (size_t)n * (size_t)n, sizeof(double));
    double *face = npb_allocate((size_t)n, sizeof *face), *edge = npb_allocate((size_t)n, sizeof *edge), found = 0;

    place_charges(n, v);
    residual(n, u[top], v, r[top], face, edge);
    printf("norm of the residual at first %.12e\n", norm(n, r[top]));
    for (int iteration = 1; iteration <= ITERATIONS; iteration++) {
        for (int level = top; level > 0; level--)
            restrict_to(sizes[level], r[level], sizes[level - 1], r[level - 1]);
        for (int level = 0; level <= top; level++) {
            int size = sizes[level];
            if (level < top)
                memset(u[level], 0, (size_t)size * (size_t)size * (size_t)size * sizeof(double));
            if (level > 0) {
                interpolate(sizes[level - 1], u[level - 1], size, u[level]);
                residual(size, u[level], level < top ? r[level] : v, r[level], face, edge);
            }
            smooth(size, r[level], u[level], face, edge);
        }
        residual(n, u[top], v, r[top], face, edge);
        found = norm(n, r[top]);
        printf("norm of the residual after %d %.12e\n", iteration, found);
    }
    return npb_verdict(npb_check("norm", found, classes[class].norm, 1e-8));
}
