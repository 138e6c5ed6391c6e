/* The runtime keeps the machine context of the ISA at hand and the portable token in it. */
typedef unsigned long long __jmp_buf[32];
