/* A program without libc for the tests of the executable format. x86-64's part defines the variables;
   the other ISAs' parts get their addresses from it. Exit status 0 means that everything mapped is right. */
#if defined(__x86_64__)
#define ISA 1
#define COMMON(definition) definition
#elif defined(__aarch64__)
#define ISA 2
#define COMMON(definition)
#else
#define ISA 3
#define COMMON(definition)
#endif

extern const char greeting[];
extern long initialised;
extern long zero[2048];
COMMON(const char greeting[] = "common read-only data\n";)
COMMON(long initialised = 4711;)
COMMON(long zero[2048];)

struct program_header {
    unsigned type, flags;
    unsigned long offset, address, physical, file_size, memory_size, align;
};

/* Linux on AArch64 and RISC-V has the same numbers; the fixture's x86-64 ones differ. */
#if ISA == 1
enum { NUMBER_WRITE = 1, NUMBER_EXIT = 60 };
#else
enum { NUMBER_WRITE = 64, NUMBER_EXIT = 93 };
#endif

static long call(long number, long a, long b, long c) {
#if ISA == 1
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
#elif ISA == 2
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
#else
    register long a7 __asm__("a7") = number, a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
    return a0;
#endif
}

__attribute__((noinline)) void say(const char *text) {
    long length = 0;
    while (text[length]) length++;
    call(NUMBER_WRITE, 1, (long)text, length);
}

/* The program headers must be where the auxiliary vector says, and say that they are there. */
__attribute__((noinline)) int check_headers(long *stack) {
    const struct program_header *headers = 0;
    unsigned long count = 0;
    long *entry = stack + 1 + *stack + 1;
    while (*entry) entry++;
    for (entry++; *entry; entry += 2) {
        if (entry[0] == 3) headers = (const struct program_header *)entry[1];
        if (entry[0] == 5) count = entry[1];
    }
    int table = 0, descriptor = 0, stack_header = 0;
    for (unsigned long i = 0; i < count; i++) {
        if (headers[i].type == 6 && headers[i].address == (unsigned long)headers) table++;
        if (headers[i].type == 1 && headers[i].address == DESCRIPTOR_BASE) descriptor++;
        if (headers[i].type == 0x6474e551) stack_header++;
    }
    return table == 1 && descriptor == 1 && stack_header == 1;
}

__attribute__((noinline)) int check_data(void) {
    for (int i = 0; i < 2048; i++) if (zero[i]) return 0;
    zero[2047] = 1;
    return initialised++ == 4711;
}

__attribute__((noinline)) int check_descriptor(void) {
    const unsigned *descriptor = (const unsigned *)DESCRIPTOR_BASE;
    return descriptor[2] == DESCRIPTOR_VERSION && descriptor[3] == ISA;
}

void start(long *stack) {
    long failed = 0;
    say(greeting);
    /* A string of the ISA's own. */
    say(ISA == 1 ? "x86_64\n" : ISA == 2 ? "aarch64\n" : "riscv64\n");
    if (!check_headers(stack)) failed |= 1;
    if (!check_data()) failed |= 2;
    if (!check_descriptor()) failed |= 4;
    call(NUMBER_EXIT, failed, 0, 0);
    __builtin_unreachable();
}

#if ISA == 1
__asm__(".section .text._start,\"ax\",@progbits\n.globl _start\n.type _start,@function\n_start:\n"
        "mov %rsp, %rdi\nand $-16, %rsp\ncall start\n.size _start, .-_start\n");
#elif ISA == 2
__asm__(".section .text._start,\"ax\",@progbits\n.globl _start\n.type _start,@function\n_start:\n"
        "mov x0, sp\nbl start\n.size _start, .-_start\n");
#else
__asm__(".section .text._start,\"ax\",@progbits\n.globl _start\n.type _start,@function\n_start:\n"
        "mv a0, sp\ncall start\n.size _start, .-_start\n");
#endif
