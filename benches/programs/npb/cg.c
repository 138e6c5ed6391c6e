/* CG, conjugate gradient: the smallest eigenvalue of a sparse symmetric matrix by inverse iteration. */
#include "npb.h"

enum { STEPS = 25, ITERATIONS = 15, MAX_ENTRIES = 12 };

static const double condition = 0.1;
static const struct {
    int order, entries;
    double shift, zeta;
} classes[CLASSES] = {
    {1400, 7, 10, 8.5971775078648},
    {7000, 8, 12, 10.362595087124},
    {14000, 11, 20, 17.130235054029},
};

/* A sparse matrix by rows. */
struct matrix {
    int order;
    int *start, *column;
    double *value;
};

/* A random sparse vector. */
struct vector {
    int length, index[MAX_ENTRIES];
    double value[MAX_ENTRIES];
};

/* Fills a vector with random entries at random places, no place twice, and one half at `diagonal`. */
static struct vector random_vector(int order, int entries, int diagonal, uint64_t *state)
{
    struct vector vector = {0};
    int power = 1;
    while (power < order)
        power *= 2;
    while (vector.length < entries) {
        double value = npb_random(state);
        int index = (int)(power * npb_random(state));
        bool taken = index >= order;
        for (int i = 0; i < vector.length; i++)
            taken |= vector.index[i] == index;
        if (taken)
            continue;
        vector.index[vector.length] = index;
        vector.value[vector.length++] = value;
    }
    for (int i = 0; i < vector.length; i++) {
        if (vector.index[i] == diagonal) {
            vector.value[i] = 0.5;
            return vector;
        }
    }
    vector.index[vector.length] = diagonal;
    vector.value[vector.length++] = 0.5;
    return vector;
}

/* Adds to an entry of a row whose entries so far are `*length` in number, by rising columns. */
static void add(int *columns, double *values, int *length, int column, double value)
{
    int i = *length;
    while (i > 0 && columns[i - 1] >= column)
        i--;
    if (i < *length && columns[i] == column) {
        values[i] += value;
        return;
    }
    for (int j = (*length)++; j > i; j--) {
        columns[j] = columns[j - 1];
        values[j] = values[j - 1];
    }
    columns[i] = column;
    values[i] = value;
}

/* The sum of the outer products of random vectors with weights that fall geometrically to the condition number, shifted. */
static struct matrix make_matrix(int order, int entries, double shift)
{
    struct matrix matrix = {order, npb_allocate((size_t)order + 1, sizeof(int)), NULL, NULL};
    struct vector *vectors = npb_allocate((size_t)order, sizeof *vectors);
    int *length = npb_allocate((size_t)order, sizeof *length), room = 0, filled = 0;
    uint64_t state = NPB_OTHER_SEED;
    double weight = 1, ratio = pow(condition, 1.0 / order);

    npb_random(&state);
    for (int i = 0; i < order; i++) {
        vectors[i] = random_vector(order, entries, i, &state);
        for (int j = 0; j < vectors[i].length; j++)
            length[vectors[i].index[j]] += vectors[i].length;
    }
    for (int i = 0; i < order; i++) {
        matrix.start[i] = room;
        room += length[i];
        length[i] = 0;
    }
    matrix.column = npb_allocate((size_t)room, sizeof *matrix.column);
    matrix.value = npb_allocate((size_t)room, sizeof *matrix.value);
    for (int i = 0; i < order; i++, weight *= ratio) {
        for (int j = 0; j < vectors[i].length; j++) {
            int row = vectors[i].index[j], start = matrix.start[row];
            double scale = weight * vectors[i].value[j];
            for (int k = 0; k < vectors[i].length; k++) {
                int column = vectors[i].index[k];
                double value = vectors[i].value[k] * scale;
                if (row == i && column == i)
                    value += condition - shift;
                add(matrix.column + start, matrix.value + start, &length[row], column, value);
            }
        }
    }
    for (int i = 0; i < order; i++) {
        int start = matrix.start[i];
        matrix.start[i] = filled;
        for (int j = 0; j < length[i]; j++, filled++) {
            matrix.column[filled] = matrix.column[start + j];
            matrix.value[filled] = matrix.value[start + j];
        }
    }
    matrix.start[order] = filled;
    free(vectors);
    free(length);
    return matrix;
}

static void multiply(const struct matrix *matrix, const double *restrict x, double *restrict product)
{
    for (int row = 0; row < matrix->order; row++) {
        double sum = 0;
        for (int i = matrix->start[row]; i < matrix->start[row + 1]; i++)
            sum += matrix->value[i] * x[matrix->column[i]];
        product[row] = sum;
    }
}

static double dot(int order, const double *x, const double *y)
{
    double sum = 0;
    for (int i = 0; i < order; i++)
        sum += x[i] * y[i];
    return sum;
}

/* Solves A z = x approximately and returns the norm of the residual. p, q and r are for its own use. */
static double conjugate_gradient(const struct matrix *a, const double *x, double *z, double *p, double *q, double *r)
{
    int order = a->order;
    for (int i = 0; i < order; i++) {
        z[i] = 0;
        p[i] = r[i] = x[i];
    }
    double rho = dot(order, r, r);
    for (int step = 0; step < STEPS; step++) {
        multiply(a, p, q);
        double alpha = rho / dot(order, p, q), before = rho;
        for (int i = 0; i < order; i++) {
            z[i] += alpha * p[i];
            r[i] -= alpha * q[i];
        }
        rho = dot(order, r, r);
        double beta = rho / before;
        for (int i = 0; i < order; i++)
            p[i] = r[i] + beta * p[i];
    }
    multiply(a, z, q);
    double sum = 0;
    for (int i = 0; i < order; i++)
        sum += (x[i] - q[i]) * (x[i] - q[i]);
    return sqrt(sum);
}

int main(int argc, char **argv)
{
    int class = npb_class(argc, argv, "CG");
    int order = classes[class].order;
    double shift = classes[class].shift, zeta = 0, *vectors[5];
    struct matrix matrix = make_matrix(order, classes[class].entries, shift);
    for (int i = 0; i < 5; i++)
        vectors[i] = npb_allocate((size_t)order, sizeof **vectors);
    double *x = vectors[0], *z = vectors[1];

    printf("entries: %d\n", matrix.start[order]);
    for (int i = 0; i < order; i++)
        x[i] = 1;
    for (int iteration = 1; iteration <= ITERATIONS; iteration++) {
        double residual = conjugate_gradient(&matrix, x, z, vectors[2], vectors[3], vectors[4]);
        zeta = shift + 1 / dot(order, x, z);
        double norm = 1 / sqrt(dot(order, z, z));
        for (int i = 0; i < order; i++)
            x[i] = norm * z[i];
        /* A residual is all rounding: its first digit is what can be compared. */
        printf("%2d: residual below 1e-11: %s, zeta %.11f\n", iteration, residual < 1e-11 ? "yes" : "no", zeta);
    }
    return npb_verdict(npb_check("zeta", zeta, classes[class].zeta, 1e-10));
}
