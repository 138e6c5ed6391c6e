/* A small program whose values matter while it is suspended: recursion, floating point, strings, a callback, a
 * non-local jump. Its output depends on all of them. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
    struct node *left, *right;
    int key;
    char name[12];
};

static jmp_buf found;

static struct node *insert(struct node *node, int key)
{
    if (!node) {
        node = calloc(1, sizeof *node);
        node->key = key;
        snprintf(node->name, sizeof node->name, "<%d>", key);
        return node;
    }
    if (key < node->key)
        node->left = insert(node->left, key);
    else
        node->right = insert(node->right, key);
    return node;
}

__attribute__((noinline)) static double weigh(const struct node *node, int depth)
{
    if (!node)
        return 0;
    double left = weigh(node->left, depth + 1);
    double right = weigh(node->right, depth + 1);
    return node->key / (depth + 0.5) + left * 0.75 + right * 1.25;
}

static void seek(const struct node *node, int key)
{
    if (!node)
        return;
    if (node->key == key)
        longjmp(found, 1 + (int)strlen(node->name));
    seek(node->left, key);
    seek(node->right, key);
}

static int by_last_digit(const void *left, const void *right)
{
    int a = *(const int *)left, b = *(const int *)right;
    return a % 10 != b % 10 ? a % 10 - b % 10 : a - b;
}

/* Four values of the same kind live in a loop. */
__attribute__((noinline)) static unsigned mix(const int *keys, int count, unsigned low, unsigned high)
{
    for (int i = 0; i < count; i++) {
        low = low * 31 + (unsigned)keys[i];
        high ^= low >> 7;
        if (keys[i] % 5 == 0)
            printf("%x/%x ", low, high);
    }
    return low ^ high * 3;
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 30;
    int *keys = malloc((size_t)count * sizeof *keys);
    struct node *root = NULL;
    unsigned state = 7;
    for (int i = 0; i < count; i++) {
        state = state * 1103515245 + 12345;
        keys[i] = (int)(state >> 16 & 0x3ff);
        root = insert(root, keys[i]);
        if (i % 10 == 9)
            printf("%d keys weigh %.9g\n", i + 1, weigh(root, 0));
    }
    qsort(keys, (size_t)count, sizeof *keys, by_last_digit);
    printf("\n%x\n", mix(keys, count, 1, 2));
    for (volatile int i = 0; i < count; i += 7) {
        int length = setjmp(found);
        if (length == 0)
            seek(root, keys[i]);
        else
            printf("found %d after a jump of %d\n", keys[i], length);
    }
    return count % 7;
}
