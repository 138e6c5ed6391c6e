/* What of the runtime cannot be written once for all ISAs: AArch64. See x86_64.S. */
#ifdef __aarch64__

#define FUNCTION(name) .section .text.name, "ax", @progbits; .globl name; .type name, @function; .p2align 4; name:
#define END(name) .size name, . - name

/* struct Entry: context, call, delivery; above it the return address. */
#define ENTRY_SIZE 272
#define ENTRY_CALL 208
#define ENTRY_DELIVERY 264
#define CONTEXT_SIZE 208
/* struct RegisterFile */
#define FILE_SIZE 768
#define FILE_LINK_REGISTER 240
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
	stp x19, x20, [\base, #\at+16]
	stp x21, x22, [\base, #\at+32]
	stp x23, x24, [\base, #\at+48]
	stp x25, x26, [\base, #\at+64]
	stp x27, x28, [\base, #\at+80]
	stp x29, x30, [\base, #\at+96]
	stp d8, d9, [\base, #\at+112]
	stp d10, d11, [\base, #\at+128]
	stp d12, d13, [\base, #\at+144]
	stp d14, d15, [\base, #\at+160]
.endm

.macro load_registers base
	ldp x19, x20, [\base, #16]
	ldp x21, x22, [\base, #32]
	ldp x23, x24, [\base, #48]
	ldp x25, x26, [\base, #64]
	ldp x27, x28, [\base, #80]
	ldr x29, [\base, #96]
	ldp d8, d9, [\base, #112]
	ldp d10, d11, [\base, #128]
	ldp d12, d13, [\base, #144]
	ldp d14, d15, [\base, #160]
.endm

/* Makes room for an Entry and fills in the caller's context. */
.macro enter
	sub sp, sp, #ENTRY_SIZE+16
	.cfi_adjust_cfa_offset ENTRY_SIZE+16
	str x30, [sp, #ENTRY_SIZE]
	.cfi_offset x30, -16
	add x9, sp, #ENTRY_SIZE+16
	stp x30, x9, [sp]
	save_registers sp, 0
	str xzr, [sp, #ENTRY_DELIVERY]
.endm

/* Hands the Entry over, and runs signal handlers before returning if there are any to run. */
.macro hand_over entry
	mov x0, sp
	bl \entry
	ldr x9, [sp, #ENTRY_DELIVERY]
	ldr x30, [sp, #ENTRY_SIZE]
	.cfi_restore x30
	add sp, sp, #ENTRY_SIZE+16
	.cfi_adjust_cfa_offset -(ENTRY_SIZE+16)
	cbnz x9, 1f
	ret
1:
	mov x0, x9
	b __maize_deliver
.endm

FUNCTION(_start)
	mov x29, xzr
	mov x30, xzr
	mov x0, sp
	and x9, x0, #-16
	mov sp, x9
	bl __maize_start
	udf #0
END(_start)

FUNCTION(__maize_syscall)
	.cfi_startproc
	enter
	stp x0, x1, [sp, #ENTRY_CALL]
	stp x2, x3, [sp, #ENTRY_CALL+16]
	stp x4, x5, [sp, #ENTRY_CALL+32]
	str x6, [sp, #ENTRY_CALL+48]
	hand_over __maize_syscall_entry
	.cfi_endproc
END(__maize_syscall)

/* The system call whose number and arguments are in memory. */
FUNCTION(__maize_syscall_again)
	.cfi_startproc
	enter
	.irp offset, 0, 16, 32
	ldp x9, x10, [x0, #\offset]
	stp x9, x10, [sp, #ENTRY_CALL+\offset]
	.endr
	ldr x9, [x0, #48]
	str x9, [sp, #ENTRY_CALL+48]
	hand_over __maize_syscall_entry
	.cfi_endproc
END(__maize_syscall_again)

/* Resumes a leaf record whose values are a system call's number and arguments. */
FUNCTION(__maize_syscall_resume)
	stp x30, x0, [sp, #-16]!
	bl __maize_arrived
	ldp x30, x0, [sp], #16
	add x0, x0, #RECORD_VALUES
	b __maize_syscall_again
END(__maize_syscall_resume)

/* void (), where a thread goes that has stopped at a migration point. Preserves all registers but x30, which it hands over as a
 * RegisterFile: x0 to x30, sp, v0 to v31. */
.macro each_register instruction
	.irp number, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28
	each_pair \instruction, x, \number, 8*\number
	.endr
	.irp number, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
	each_pair \instruction, q, \number, 256+16*\number
	.endr
.endm

.altmacro
.macro each_pair instruction, kind, number, at
	pair \instruction, \kind, %(\number), %(\number+1), \at
.endm

.macro pair instruction, kind, first, second, at
	\instruction \kind\first, \kind\second, [sp, #\at]
.endm

FUNCTION(__maize_point)
	.cfi_startproc
	sub sp, sp, #FILE_SIZE
	.cfi_adjust_cfa_offset FILE_SIZE
	each_register stp
	add x0, sp, #FILE_SIZE
	stp x30, x0, [sp, #FILE_LINK_REGISTER]
	.cfi_offset x30, FILE_LINK_REGISTER-FILE_SIZE
	mov x0, sp
	mov x1, x30
	bl __maize_point_entry
	each_register ldp
	ldr x30, [sp, #FILE_LINK_REGISTER]
	add sp, sp, #FILE_SIZE
	.cfi_restore x30
	.cfi_adjust_cfa_offset -FILE_SIZE
	ret
	.cfi_endproc
END(__maize_point)
.noaltmacro

/* Resumes a leaf record that stands for a migration point: the program has arrived, and that is all. */
FUNCTION(__maize_point_resume)
	str x30, [sp, #-16]!
	bl __maize_arrived
	ldr x30, [sp], #16
	ret
END(__maize_point_resume)

.macro save_frame
	stp x30, x19, [sp, #-16]!
	.cfi_def_cfa_offset 16
	.cfi_offset x30, -16
	.cfi_offset x19, -8
.endm

/* Resumes a leaf record whose value is the address of a Delivery. */
FUNCTION(__maize_delivery_resume)
	ldr x0, [x0, #RECORD_VALUES]
	b __maize_deliver
END(__maize_delivery_resume)

/* i64 (Delivery *): runs signal handlers, then returns the interrupted call's result or issues it again. Written like
 * a compiled function, with a site, so that a program can move while a handler runs. */
FUNCTION(__maize_deliver)
	.cfi_startproc
	save_frame
	mov x19, x0
.Ldeliver_next:
	mov x0, x19
	bl __maize_delivery_next
	cbz x0, .Ldeliver_end
	mov x9, x0
	ldr x0, [x19, #DELIVERY_SIGNAL]
	ldr x1, [x19, #DELIVERY_INFO]
	ldr x2, [x19, #DELIVERY_UCONTEXT]
	blr x9
.Ldeliver_called:
	b .Ldeliver_next
.Ldeliver_end:
	mov x9, x19
	ldp x30, x19, [sp], #16
	.cfi_def_cfa_offset 0
	.cfi_restore x30
	.cfi_restore x19
	ldr x10, [x9, #DELIVERY_RESTART]
	cbnz x10, 1f
	ldr x0, [x9, #DELIVERY_RESULT]
	ret
1:
	add x0, x9, #DELIVERY_CALL
	b __maize_syscall_again
	.cfi_endproc
END(__maize_deliver)

/* Its site in the form of crates/image/src/object_file/stack_map.rs: one word is live, in a register. */
	.section .maize.sites, "", %progbits
	.balign 8
	.quad __maize_deliver, __maize_deliver_resume
	.long 1, 40
	.long .Ldeliver_called - __maize_deliver, 0, 1, (19 << 22) + (1 << 21)

FUNCTION(__maize_deliver_resume)
	.cfi_startproc
	save_frame
	ldr x19, [x0, #RECORD_VALUES]
	ldr x0, [x0, #RECORD_INNER]
	ldr x9, [x0, #RECORD_RESUME]
	blr x9
.Lresume_called:
	b .Ldeliver_next
	.cfi_endproc
END(__maize_deliver_resume)

/* Its site in the form of crates/image/src/object_file/stack_map.rs: one word is live, in a register. */
	.section .maize.sites, "", %progbits
	.balign 8
	.quad __maize_deliver_resume, __maize_deliver_resume
	.long 1, 40
	.long .Lresume_called - __maize_deliver_resume, 0, 1, (19 << 22) + (1 << 21)

/* void (jmp_buf, record) */
FUNCTION(__maize_setjmp_save)
	mov x9, sp
	stp x30, x9, [x0, #32]
	save_registers x0, 32
	b __maize_setjmp_saved
END(__maize_setjmp_save)

/* noreturn void (jmp_buf, int) */
FUNCTION(longjmp)
	.globl _longjmp
	.type _longjmp, @function
_longjmp:
	.cfi_startproc
	sub sp, sp, #CONTEXT_SIZE
	.cfi_adjust_cfa_offset CONTEXT_SIZE
	add x9, sp, #CONTEXT_SIZE
	stp x30, x9, [sp]
	save_registers sp, 0
	sxtw x2, w1
	mov x1, x0
	mov x0, sp
	bl __maize_longjmp_entry
	udf #0
	.cfi_endproc
END(longjmp)
	.size _longjmp, . - _longjmp

/* noreturn void (u64 stack_top, u64 function, u64 argument) */
FUNCTION(__maize_enter_resumed)
	.cfi_startproc
	.cfi_undefined x30
	and x9, x0, #-16
	mov sp, x9
	mov x29, xzr
	mov x0, x2
	blr x1
.Lbottom:
	bl __maize_thread_returned
	udf #0
	.cfi_endproc
END(__maize_enter_resumed)

/* noreturn void (const Context *, u64 function, u64 argument) */
FUNCTION(__maize_jump_in_place)
	ldp x30, x9, [x0]
	mov sp, x9
	load_registers x0
	mov x0, x2
	br x1
END(__maize_jump_in_place)

/* noreturn void (const Context *, u64 address, u64 first, u64 second): to a landing pad */
FUNCTION(__maize_land)
	ldr x9, [x0, #8]
	mov sp, x9
	load_registers x0
	mov x9, x1
	mov x0, x2
	mov x1, x3
	br x9
END(__maize_land)

/* i64 (up to three arguments): hands them over with the caller's context as the fourth. */
.macro unwinder name, entry
FUNCTION(\name)
	.cfi_startproc
	sub sp, sp, #CONTEXT_SIZE
	.cfi_adjust_cfa_offset CONTEXT_SIZE
	add x9, sp, #CONTEXT_SIZE
	stp x30, x9, [sp]
	save_registers sp, 0
	mov x3, sp
	bl \entry
	ldr x30, [sp]
	add sp, sp, #CONTEXT_SIZE
	.cfi_adjust_cfa_offset -CONTEXT_SIZE
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
	mov x8, x0
	mov x0, x1
	mov x1, x2
	mov x2, x3
	mov x3, x4
	mov x4, x5
	mov x5, x6
.endm

/* i64 (u64 native number, six arguments) */
FUNCTION(__maize_raw_syscall)
	kernel_arguments
	svc #0
	ret
END(__maize_raw_syscall)

/* The same, but CANCELLED if the word whose address comes last is set before the kernel is entered: a signal handler that
 * finds the program counter in the window sends it to the end of this function. */
FUNCTION(__maize_interruptible_syscall)
	kernel_arguments
.Lwindow_start:
	ldr w10, [x7]
	cbnz w10, .Lwindow_cancel
	svc #0
.Lwindow_end:
	ret
.Lwindow_cancel:
	mov x0, #-5000
	ret
END(__maize_interruptible_syscall)

/* i64 (flags, stack, parent_tid, thread_pointer, child_tid); the new thread finds its function and argument on its stack */
FUNCTION(__maize_clone_thread)
	mov x8, #220
	svc #0
	cbz x0, .Lnew_thread
	ret
.Lnew_thread:
	ldp x1, x2, [sp], #16
	mov x0, sp
	b __maize_enter_resumed
END(__maize_clone_thread)

/* noreturn void (munmap, base, size, exit): native numbers; neither call uses the stack that goes away */
FUNCTION(__maize_unmap_and_exit)
	mov x8, x0
	mov x0, x1
	mov x1, x2
	mov x19, x3
	svc #0
	mov x8, x19
	mov x0, xzr
	svc #0
	udf #0
END(__maize_unmap_and_exit)

FUNCTION(__maize_signal_restorer)
	mov x8, #139
	svc #0
	udf #0
END(__maize_signal_restorer)

FUNCTION(__maize_set_host_thread_pointer)
	msr tpidr_el0, x0
	ret
END(__maize_set_host_thread_pointer)

FUNCTION(__maize_thread_pointer)
	mrs x0, tpidr_el0
	ret
END(__maize_thread_pointer)

/* void (u64 address): cleans the line to where instructions are fetched from, and drops it there (Arm ARM B2.7.4.2). */
FUNCTION(__maize_instruction_changed)
	dc cvau, x0
	dsb ish
	ic ivau, x0
	ret
END(__maize_instruction_changed)

FUNCTION(__maize_instructions_changed)
	dsb ish
	isb
	ret
END(__maize_instructions_changed)

/* struct Page: what Rust must know of this ISA. */
FUNCTION(__maize_isa_page)
	adr x0, .Lpage
	ret
	.p2align 3
.Lpage:
	.quad 2                                  /* maize_abi::Isa */
	.quad 440, 432, 424                      /* ucontext: program counter, stack pointer, return address */
	.quad 0xd4200000, 0                      /* brk #0 */
	.quad 0xd503201f, 4                      /* nop */
	.quad 64, 32, 2                          /* v0 is DWARF register 64 */
	.quad 1                                  /* struct sigaction has a restorer */
	.quad 0x4000, 0x8000, 0x10000, 0x20000   /* O_DIRECTORY, O_NOFOLLOW, O_DIRECT, O_LARGEFILE */
	.quad .Lwindow_start, .Lwindow_end, .Lwindow_cancel, .Lbottom
	.ascii "__kernel_clock_gettime\0\0\0\0\0\0\0\0\0\0"
	/* Slots of the context's registers by DWARF number; 254 is the stack pointer, 255 none. */
	.fill 19, 1, 255
	.byte 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 254
	.fill 40, 1, 255
	.byte 12, 13, 14, 15, 16, 17, 18, 19
	.fill 16, 1, 255
END(__maize_isa_page)

	.section .note.GNU-stack, "", @progbits
#endif
