/* An interpreter with labels as values: dispatch by table, label differences, and labels kept in memory. */
#include "features.h"
#include <stdio.h>

enum { PUSH, ADD, MULTIPLY, JUMP_NOT_ZERO, DECREMENT, HALT };

static uint64_t interpret(const int *code, uint64_t counter)
{
    static void *const labels[] = {&&push, &&add, &&multiply, &&jump_not_zero, &&decrement, &&halt};
    static const int offsets[] = {&&push - &&push, &&add - &&push, &&multiply - &&push};
    void *saved[2] = {&&add, &&multiply};
    uint64_t stack[16] = {1}, *top = stack;
    const int *at = code;
#define NEXT goto *labels[*at++]
    NEXT;
push:
    *++top = (uint64_t)*at++;
    NEXT;
add:
    top[-1] += top[0];
    top--;
    NEXT;
multiply:
    top[-1] *= top[0] | 1;
    top--;
    NEXT;
decrement:
    counter--;
    /* Another way round the table, now and then. */
    if ((counter & 1023) == 0) {
        *++top = counter;
        if (counter & 1024)
            goto *saved[(counter >> 11) & 1];
        goto *(&&push + offsets[1 + ((counter >> 11) & 1)]);
    }
    NEXT;
jump_not_zero:
    at = counter ? code + *at : at + 1;
    NEXT;
halt:
    return *top;
}

void computed_goto(void)
{
    const int code[] = {PUSH, 7, ADD, PUSH, 31, MULTIPLY, DECREMENT, JUMP_NOT_ZERO, 0, HALT};
    printf("%016llx\n", (unsigned long long)interpret(code, 15000000));
}
