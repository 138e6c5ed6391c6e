/* The thread pointer addresses portable memory on every ISA. Thread-local variables lie above it
 * (TLS variant I), after the words that crates/abi/src/layout.rs reserves (thread::TLS_GAP). */

static inline uintptr_t __get_tp()
{
	return (uintptr_t)__builtin_thread_pointer();
}

#define TLS_ABOVE_TP
#define GAP_ABOVE_TP 64

/* Names the interrupted instruction to code that does not run here (thread/pthread_cancel.c). */
#define MC_PC gregs[REG_RIP]
