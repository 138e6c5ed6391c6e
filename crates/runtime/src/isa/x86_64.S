/* What of the runtime cannot be written once for all ISAs: x86-64. The other ISAs' files define the same
 * functions in the same order, each in a section of its own; offsets are those of isa/mod.rs and signal/delivery.rs. */
#ifdef __x86_64__

#define FUNCTION(name) .section .text.name, "ax", @progbits; .globl name; .type name, @function; .p2align 4; name:
#define END(name) .size name, . - name

/* struct Entry: context, call, delivery. */
#define ENTRY_SIZE 272
#define ENTRY_CALL 208
#define ENTRY_DELIVERY 264
#define CONTEXT_SIZE 208
/* struct RegisterFile */
#define FILE_SIZE 768
#define FILE_STACK_POINTER 56
/* struct Delivery */
#define DELIVERY_RESULT 0
#define DELIVERY_RESTART 8
#define DELIVERY_CALL 16
#define DELIVERY_SIGNAL 72
#define DELIVERY_INFO 80
#define DELIVERY_UCONTEXT 88
/* maize_abi::record */
#define RECORD_RESUME 0
#define RECORD_SITE 8
#define RECORD_INNER 16
#define RECORD_VALUES 24

.macro save_registers base, at
	movq %rbx, \at+16(\base)
	movq %rbp, \at+24(\base)
	movq %r12, \at+32(\base)
	movq %r13, \at+40(\base)
	movq %r14, \at+48(\base)
	movq %r15, \at+56(\base)
.endm

.macro load_registers
	movq 16(%rdi), %rbx
	movq 24(%rdi), %rbp
	movq 32(%rdi), %r12
	movq 40(%rdi), %r13
	movq 48(%rdi), %r14
	movq 56(%rdi), %r15
.endm

/* Makes room for an Entry and fills in the caller's context. */
.macro enter
	subq $ENTRY_SIZE+8, %rsp
	.cfi_adjust_cfa_offset ENTRY_SIZE+8
	movq ENTRY_SIZE+8(%rsp), %rax
	movq %rax, (%rsp)
	leaq ENTRY_SIZE+16(%rsp), %rax
	movq %rax, 8(%rsp)
	save_registers %rsp, 0
	movq $0, ENTRY_DELIVERY(%rsp)
.endm

/* Hands the Entry over, and runs signal handlers before returning if there are any to run. */
.macro hand_over entry
	movq %rsp, %rdi
	call \entry
	movq ENTRY_DELIVERY(%rsp), %rdi
	addq $ENTRY_SIZE+8, %rsp
	.cfi_adjust_cfa_offset -(ENTRY_SIZE+8)
	testq %rdi, %rdi
	jne __maize_deliver
	ret
.endm

FUNCTION(_start)
	xorl %ebp, %ebp
	movq %rsp, %rdi
	andq $-16, %rsp
	call __maize_start
	ud2
END(_start)

FUNCTION(__maize_syscall)
	.cfi_startproc
	enter
	movq %rdi, ENTRY_CALL(%rsp)
	movq %rsi, ENTRY_CALL+8(%rsp)
	movq %rdx, ENTRY_CALL+16(%rsp)
	movq %rcx, ENTRY_CALL+24(%rsp)
	movq %r8, ENTRY_CALL+32(%rsp)
	movq %r9, ENTRY_CALL+40(%rsp)
	movq ENTRY_SIZE+16(%rsp), %rax
	movq %rax, ENTRY_CALL+48(%rsp)
	hand_over __maize_syscall_entry
	.cfi_endproc
END(__maize_syscall)

/* The system call whose number and arguments are in memory. */
FUNCTION(__maize_syscall_again)
	.cfi_startproc
	enter
	.irp offset, 0, 8, 16, 24, 32, 40, 48
	movq \offset(%rdi), %rax
	movq %rax, ENTRY_CALL+\offset(%rsp)
	.endr
	hand_over __maize_syscall_entry
	.cfi_endproc
END(__maize_syscall_again)

/* Resumes a leaf record whose values are a system call's number and arguments. */
FUNCTION(__maize_syscall_resume)
	pushq %rdi
	call __maize_arrived
	popq %rdi
	addq $RECORD_VALUES, %rdi
	jmp __maize_syscall_again
END(__maize_syscall_resume)

/* void (), where a thread goes that has stopped at a migration point. Preserves all registers, which it hands over as a RegisterFile:
 * rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8 to r15, xmm0 to xmm15. */
.macro each_register integer, vector
	\integer rax, 0
	\integer rdx, 8
	\integer rcx, 16
	\integer rbx, 24
	\integer rsi, 32
	\integer rdi, 40
	\integer rbp, 48
	.irp number, 8, 9, 10, 11, 12, 13, 14, 15
	\integer r\number, 8*\number
	.endr
	.irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	\vector xmm\number, 128+16*\number
	.endr
.endm

.macro store_integer register, at
	movq %\register, \at(%rsp)
.endm

.macro store_vector register, at
	movups %\register, \at(%rsp)
.endm

.macro load_integer register, at
	movq \at(%rsp), %\register
.endm

.macro load_vector register, at
	movups \at(%rsp), %\register
.endm

FUNCTION(__maize_point)
	.cfi_startproc
	subq $FILE_SIZE+8, %rsp
	.cfi_adjust_cfa_offset FILE_SIZE+8
	each_register store_integer, store_vector
	leaq FILE_SIZE+16(%rsp), %rax
	movq %rax, FILE_STACK_POINTER(%rsp)
	movq %rsp, %rdi
	movq FILE_SIZE+8(%rsp), %rsi
	call __maize_point_entry
	each_register load_integer, load_vector
	addq $FILE_SIZE+8, %rsp
	.cfi_adjust_cfa_offset -(FILE_SIZE+8)
	ret
	.cfi_endproc
END(__maize_point)

/* Resumes a leaf record that stands for a migration point: the program has arrived, and that is all. */
FUNCTION(__maize_point_resume)
	subq $8, %rsp
	call __maize_arrived
	addq $8, %rsp
	ret
END(__maize_point_resume)

/* Resumes a leaf record whose value is the address of a Delivery. */
FUNCTION(__maize_delivery_resume)
	movq RECORD_VALUES(%rdi), %rdi
	jmp __maize_deliver
END(__maize_delivery_resume)

/* i64 (Delivery *): runs signal handlers, then returns the interrupted call's result or issues it again. Written like
 * a compiled function, with a site, so that a program can move while a handler runs. */
FUNCTION(__maize_deliver)
	.cfi_startproc
	pushq %rbx
	.cfi_def_cfa_offset 16
	.cfi_offset %rbx, -16
	movq %rdi, %rbx
.Ldeliver_next:
	movq %rbx, %rdi
	call __maize_delivery_next
	testq %rax, %rax
	je .Ldeliver_end
	movq DELIVERY_SIGNAL(%rbx), %rdi
	movq DELIVERY_INFO(%rbx), %rsi
	movq DELIVERY_UCONTEXT(%rbx), %rdx
	call *%rax
.Ldeliver_called:
	jmp .Ldeliver_next
.Ldeliver_end:
	movq %rbx, %rdi
	popq %rbx
	.cfi_def_cfa_offset 8
	.cfi_restore %rbx
	cmpq $0, DELIVERY_RESTART(%rdi)
	leaq DELIVERY_CALL(%rdi), %rdi
	jne __maize_syscall_again
	movq DELIVERY_RESULT-DELIVERY_CALL(%rdi), %rax
	ret
	.cfi_endproc
END(__maize_deliver)

/* Its site in the form of crates/image/src/object_file/stack_map.rs: one word is live, in a register. */
	.section .maize.sites, "", @progbits
	.balign 8
	.quad __maize_deliver, __maize_deliver_resume
	.long 1, 40
	.long .Ldeliver_called - __maize_deliver, 0, 1, (3 << 22) + (1 << 21)

FUNCTION(__maize_deliver_resume)
	.cfi_startproc
	pushq %rbx
	.cfi_def_cfa_offset 16
	.cfi_offset %rbx, -16
	movq RECORD_VALUES(%rdi), %rbx
	movq RECORD_INNER(%rdi), %rdi
	call *RECORD_RESUME(%rdi)
.Lresume_called:
	jmp .Ldeliver_next
	.cfi_endproc
END(__maize_deliver_resume)

/* Its site in the form of crates/image/src/object_file/stack_map.rs: one word is live, in a register. */
	.section .maize.sites, "", @progbits
	.balign 8
	.quad __maize_deliver_resume, __maize_deliver_resume
	.long 1, 40
	.long .Lresume_called - __maize_deliver_resume, 0, 1, (3 << 22) + (1 << 21)

/* void (jmp_buf, record) */
FUNCTION(__maize_setjmp_save)
	movq (%rsp), %rax
	movq %rax, 32(%rdi)
	leaq 8(%rsp), %rax
	movq %rax, 40(%rdi)
	save_registers %rdi, 32
	jmp __maize_setjmp_saved
END(__maize_setjmp_save)

/* noreturn void (jmp_buf, int) */
FUNCTION(longjmp)
	.globl _longjmp
	.type _longjmp, @function
_longjmp:
	.cfi_startproc
	subq $CONTEXT_SIZE+8, %rsp
	.cfi_adjust_cfa_offset CONTEXT_SIZE+8
	movq CONTEXT_SIZE+8(%rsp), %rax
	movq %rax, (%rsp)
	leaq CONTEXT_SIZE+16(%rsp), %rax
	movq %rax, 8(%rsp)
	save_registers %rsp, 0
	movslq %esi, %rdx
	movq %rdi, %rsi
	movq %rsp, %rdi
	call __maize_longjmp_entry
	ud2
	.cfi_endproc
END(longjmp)
	.size _longjmp, . - _longjmp

/* noreturn void (u64 stack_top, u64 function, u64 argument) */
FUNCTION(__maize_enter_resumed)
	.cfi_startproc
	.cfi_undefined %rip
	andq $-16, %rdi
	movq %rdi, %rsp
	xorl %ebp, %ebp
	movq %rdx, %rdi
	call *%rsi
.Lbottom:
	movq %rax, %rdi
	call __maize_thread_returned
	ud2
	.cfi_endproc
END(__maize_enter_resumed)

/* noreturn void (const Context *, u64 function, u64 argument) */
FUNCTION(__maize_jump_in_place)
	movq (%rdi), %rax
	movq 8(%rdi), %rcx
	load_registers
	leaq -8(%rcx), %rsp
	movq %rax, (%rsp)
	movq %rdx, %rdi
	jmp *%rsi
END(__maize_jump_in_place)

/* noreturn void (const Context *, u64 address, u64 first, u64 second): to a landing pad */
FUNCTION(__maize_land)
	load_registers
	movq 8(%rdi), %rsp
	movq %rdx, %rax
	movq %rcx, %rdx
	jmp *%rsi
END(__maize_land)

/* i64 (up to three arguments): hands them over with the caller's context as the fourth. */
.macro unwinder name, entry
FUNCTION(\name)
	.cfi_startproc
	subq $CONTEXT_SIZE+8, %rsp
	.cfi_adjust_cfa_offset CONTEXT_SIZE+8
	movq CONTEXT_SIZE+8(%rsp), %rax
	movq %rax, (%rsp)
	leaq CONTEXT_SIZE+16(%rsp), %rax
	movq %rax, 8(%rsp)
	save_registers %rsp, 0
	movq %rsp, %rcx
	call \entry
	addq $CONTEXT_SIZE+8, %rsp
	.cfi_adjust_cfa_offset -(CONTEXT_SIZE+8)
	ret
	.cfi_endproc
END(\name)
.endm

unwinder _Unwind_RaiseException, __maize_raise
unwinder _Unwind_Resume, __maize_resume_unwinding
unwinder _Unwind_Resume_or_Rethrow, __maize_rethrow
unwinder _Unwind_ForcedUnwind, __maize_force_unwinding
unwinder _Unwind_Backtrace, __maize_backtrace

.macro kernel_arguments
	movq %rdi, %rax
	movq %rsi, %rdi
	movq %rdx, %rsi
	movq %rcx, %rdx
	movq %r8, %r10
	movq %r9, %r8
	movq 8(%rsp), %r9
.endm

/* i64 (u64 native number, six arguments) */
FUNCTION(__maize_raw_syscall)
	kernel_arguments
	syscall
	ret
END(__maize_raw_syscall)

/* The same, but CANCELLED if the word whose address comes last is set before the kernel is entered: a signal handler that
 * finds the program counter in the window sends it to the end of this function. */
FUNCTION(__maize_interruptible_syscall)
	kernel_arguments
	movq 16(%rsp), %r11
.Lwindow_start:
	cmpl $0, (%r11)
	jne .Lwindow_cancel
	syscall
.Lwindow_end:
	ret
.Lwindow_cancel:
	movq $-5000, %rax
	ret
END(__maize_interruptible_syscall)

/* i64 (flags, stack, parent_tid, thread_pointer, child_tid); the new thread finds its function and argument on its stack */
FUNCTION(__maize_clone_thread)
	movq %r8, %r10
	movq %rcx, %r8
	movl $56, %eax
	syscall
	testq %rax, %rax
	je .Lnew_thread
	ret
.Lnew_thread:
	popq %rsi
	popq %rdx
	movq %rsp, %rdi
	jmp __maize_enter_resumed
END(__maize_clone_thread)

/* noreturn void (munmap, base, size, exit): native numbers; neither call uses the stack that goes away */
FUNCTION(__maize_unmap_and_exit)
	movq %rdi, %rax
	movq %rsi, %rdi
	movq %rdx, %rsi
	movq %rcx, %rbx
	syscall
	movq %rbx, %rax
	xorl %edi, %edi
	syscall
	ud2
END(__maize_unmap_and_exit)

FUNCTION(__maize_signal_restorer)
	movl $15, %eax
	syscall
	ud2
END(__maize_signal_restorer)

FUNCTION(__maize_set_host_thread_pointer)
	movq %rdi, %rsi
	movl $0x1002, %edi
	movl $158, %eax
	syscall
	ret
END(__maize_set_host_thread_pointer)

FUNCTION(__maize_thread_pointer)
	movq %fs:0, %rax
	ret
END(__maize_thread_pointer)

/* void (u64 address), void (): this ISA's processors see to it themselves. */
FUNCTION(__maize_instruction_changed)
	ret
END(__maize_instruction_changed)

FUNCTION(__maize_instructions_changed)
	ret
END(__maize_instructions_changed)

/* struct Page: what Rust must know of this ISA. */
FUNCTION(__maize_isa_page)
	leaq .Lpage(%rip), %rax
	ret
	.p2align 3
.Lpage:
	.quad 1                                  /* maize_abi::Isa */
	.quad 168, 160, 168                      /* ucontext: program counter, stack pointer, return address */
	.quad 0xcc, 1                            /* int3 */
	.quad 0x2e, 1                            /* a cs prefix */
	.quad 17, 16, 2                          /* xmm0 is DWARF register 17 */
	.quad 1                                  /* struct sigaction has a restorer */
	.quad 0x10000, 0x20000, 0x4000, 0x8000   /* O_DIRECTORY, O_NOFOLLOW, O_DIRECT, O_LARGEFILE */
	.quad .Lwindow_start, .Lwindow_end, .Lwindow_cancel, .Lbottom
	.ascii "__vdso_clock_gettime\0\0\0\0\0\0\0\0\0\0\0\0"
	/* Slots of the context's registers by DWARF number; 254 is the stack pointer, 255 none. */
	.byte 255, 255, 255, 0, 255, 255, 1, 254, 255, 255, 255, 255, 2, 3, 4, 5
	.fill 80, 1, 255
END(__maize_isa_page)

	.section .note.GNU-stack, "", @progbits
#endif
