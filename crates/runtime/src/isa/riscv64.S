/* What of the runtime cannot be written once for all ISAs: RISC-V. See x86_64.S. */
#ifdef __riscv

	.option norelax

#define FUNCTION(name) .section .text.name, "ax", @progbits; .globl name; .type name, @function; .p2align 4; name:
#define END(name) .size name, . - name

/* struct Entry: context, call, delivery; above it the return address. */
#define ENTRY_SIZE 272
#define ENTRY_CALL 208
#define ENTRY_DELIVERY 264
#define CONTEXT_SIZE 208
/* struct RegisterFile */
#define FILE_SIZE 768
#define FILE_LINK_REGISTER 8
#define FILE_STACK_POINTER 16
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

.macro each_register instruction, float_instruction, base, at
	\instruction s0, \at+16(\base)
	\instruction s1, \at+24(\base)
	\instruction s2, \at+32(\base)
	\instruction s3, \at+40(\base)
	\instruction s4, \at+48(\base)
	\instruction s5, \at+56(\base)
	\instruction s6, \at+64(\base)
	\instruction s7, \at+72(\base)
	\instruction s8, \at+80(\base)
	\instruction s9, \at+88(\base)
	\instruction s10, \at+96(\base)
	\instruction s11, \at+104(\base)
	\float_instruction fs0, \at+112(\base)
	\float_instruction fs1, \at+120(\base)
	\float_instruction fs2, \at+128(\base)
	\float_instruction fs3, \at+136(\base)
	\float_instruction fs4, \at+144(\base)
	\float_instruction fs5, \at+152(\base)
	\float_instruction fs6, \at+160(\base)
	\float_instruction fs7, \at+168(\base)
	\float_instruction fs8, \at+176(\base)
	\float_instruction fs9, \at+184(\base)
	\float_instruction fs10, \at+192(\base)
	\float_instruction fs11, \at+200(\base)
.endm

/* Makes room for an Entry and fills in the caller's context. */
.macro enter
	addi sp, sp, -(ENTRY_SIZE+16)
	.cfi_adjust_cfa_offset ENTRY_SIZE+16
	sd ra, ENTRY_SIZE(sp)
	.cfi_offset ra, -16
	addi t0, sp, ENTRY_SIZE+16
	sd ra, 0(sp)
	sd t0, 8(sp)
	each_register sd, fsd, sp, 0
	sd zero, ENTRY_DELIVERY(sp)
.endm

/* Hands the Entry over, and runs signal handlers before returning if there are any to run. */
.macro hand_over entry
	mv a0, sp
	call \entry
	ld t0, ENTRY_DELIVERY(sp)
	ld ra, ENTRY_SIZE(sp)
	.cfi_restore ra
	addi sp, sp, ENTRY_SIZE+16
	.cfi_adjust_cfa_offset -(ENTRY_SIZE+16)
	bnez t0, 1f
	ret
1:
	mv a0, t0
	tail __maize_deliver
.endm

FUNCTION(_start)
	mv s0, zero
	mv ra, zero
	mv a0, sp
	andi sp, sp, -16
	call __maize_start
	unimp
END(_start)

FUNCTION(__maize_syscall)
	.cfi_startproc
	enter
	sd a0, ENTRY_CALL(sp)
	sd a1, ENTRY_CALL+8(sp)
	sd a2, ENTRY_CALL+16(sp)
	sd a3, ENTRY_CALL+24(sp)
	sd a4, ENTRY_CALL+32(sp)
	sd a5, ENTRY_CALL+40(sp)
	sd a6, ENTRY_CALL+48(sp)
	hand_over __maize_syscall_entry
	.cfi_endproc
END(__maize_syscall)

/* The system call whose number and arguments are in memory. */
FUNCTION(__maize_syscall_again)
	.cfi_startproc
	enter
	.irp offset, 0, 8, 16, 24, 32, 40, 48
	ld t0, \offset(a0)
	sd t0, ENTRY_CALL+\offset(sp)
	.endr
	hand_over __maize_syscall_entry
	.cfi_endproc
END(__maize_syscall_again)

/* Resumes a leaf record whose values are a system call's number and arguments. */
FUNCTION(__maize_syscall_resume)
	addi sp, sp, -16
	sd ra, 8(sp)
	sd a0, 0(sp)
	call __maize_arrived
	ld ra, 8(sp)
	ld a0, 0(sp)
	addi sp, sp, 16
	addi a0, a0, RECORD_VALUES
	tail __maize_syscall_again
END(__maize_syscall_resume)

/* void (), where a thread goes that has stopped at a migration point. Preserves all registers but ra, which it hands over as a
 * RegisterFile: x0 to x31, f0 to f31. */
.macro whole_file instruction, float_instruction
	.irp number, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	\instruction x\number, 8*\number(sp)
	.endr
	.irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	\float_instruction f\number, 256+8*\number(sp)
	.endr
.endm

FUNCTION(__maize_point)
	.cfi_startproc
	addi sp, sp, -FILE_SIZE
	.cfi_adjust_cfa_offset FILE_SIZE
	whole_file sd, fsd
	sd ra, FILE_LINK_REGISTER(sp)
	.cfi_offset ra, FILE_LINK_REGISTER-FILE_SIZE
	addi a0, sp, FILE_SIZE
	sd a0, FILE_STACK_POINTER(sp)
	mv a0, sp
	mv a1, ra
	call __maize_point_entry
	whole_file ld, fld
	ld ra, FILE_LINK_REGISTER(sp)
	addi sp, sp, FILE_SIZE
	.cfi_restore ra
	.cfi_adjust_cfa_offset -FILE_SIZE
	ret
	.cfi_endproc
END(__maize_point)

/* Resumes a leaf record that stands for a migration point: the program has arrived, and that is all. */
FUNCTION(__maize_point_resume)
	addi sp, sp, -16
	sd ra, 8(sp)
	call __maize_arrived
	ld ra, 8(sp)
	addi sp, sp, 16
	ret
END(__maize_point_resume)

.macro save_frame
	addi sp, sp, -16
	.cfi_def_cfa_offset 16
	sd ra, 8(sp)
	sd s0, 0(sp)
	.cfi_offset ra, -8
	.cfi_offset s0, -16
.endm

/* Resumes a leaf record whose value is the address of a Delivery. */
FUNCTION(__maize_delivery_resume)
	ld a0, RECORD_VALUES(a0)
	tail __maize_deliver
END(__maize_delivery_resume)

/* i64 (Delivery *): runs signal handlers, then returns the interrupted call's result or issues it again. Written like
 * a compiled function, with a site, so that a program can move while a handler runs. */
FUNCTION(__maize_deliver)
	.cfi_startproc
	save_frame
	mv s0, a0
.Ldeliver_next:
	mv a0, s0
	call __maize_delivery_next
	beqz a0, .Ldeliver_end
	mv t0, a0
	ld a0, DELIVERY_SIGNAL(s0)
	ld a1, DELIVERY_INFO(s0)
	ld a2, DELIVERY_UCONTEXT(s0)
	jalr t0
.Ldeliver_called:
	j .Ldeliver_next
.Ldeliver_end:
	mv t0, s0
	ld ra, 8(sp)
	ld s0, 0(sp)
	addi sp, sp, 16
	.cfi_def_cfa_offset 0
	.cfi_restore ra
	.cfi_restore s0
	ld t1, DELIVERY_RESTART(t0)
	bnez t1, 1f
	ld a0, DELIVERY_RESULT(t0)
	ret
1:
	addi a0, t0, DELIVERY_CALL
	tail __maize_syscall_again
	.cfi_endproc
END(__maize_deliver)

/* Its site in the form of crates/image/src/object_file/stack_map.rs: one word is live, in a register. */
	.section .maize.sites, "", %progbits
	.balign 8
	.quad __maize_deliver, __maize_deliver_resume
	.long 1, 40
	.long .Ldeliver_called - __maize_deliver, 0, 1, (8 << 22) + (1 << 21)

FUNCTION(__maize_deliver_resume)
	.cfi_startproc
	save_frame
	ld s0, RECORD_VALUES(a0)
	ld a0, RECORD_INNER(a0)
	ld t0, RECORD_RESUME(a0)
	jalr t0
.Lresume_called:
	tail .Ldeliver_next
	.cfi_endproc
END(__maize_deliver_resume)

/* Its site in the form of crates/image/src/object_file/stack_map.rs: one word is live, in a register. */
	.section .maize.sites, "", %progbits
	.balign 8
	.quad __maize_deliver_resume, __maize_deliver_resume
	.long 1, 40
	.long .Lresume_called - __maize_deliver_resume, 0, 1, (8 << 22) + (1 << 21)

/* void (jmp_buf, record) */
FUNCTION(__maize_setjmp_save)
	sd ra, 32(a0)
	sd sp, 40(a0)
	each_register sd, fsd, a0, 32
	tail __maize_setjmp_saved
END(__maize_setjmp_save)

/* noreturn void (jmp_buf, int) */
FUNCTION(longjmp)
	.globl _longjmp
	.type _longjmp, @function
_longjmp:
	.cfi_startproc
	addi sp, sp, -CONTEXT_SIZE
	.cfi_adjust_cfa_offset CONTEXT_SIZE
	addi t0, sp, CONTEXT_SIZE
	sd ra, 0(sp)
	sd t0, 8(sp)
	each_register sd, fsd, sp, 0
	sext.w a2, a1
	mv a1, a0
	mv a0, sp
	call __maize_longjmp_entry
	unimp
	.cfi_endproc
END(longjmp)
	.size _longjmp, . - _longjmp

/* noreturn void (u64 stack_top, u64 function, u64 argument) */
FUNCTION(__maize_enter_resumed)
	.cfi_startproc
	.cfi_undefined ra
	andi sp, a0, -16
	mv s0, zero
	mv a0, a2
	jalr a1
.Lbottom:
	call __maize_thread_returned
	unimp
	.cfi_endproc
END(__maize_enter_resumed)

/* noreturn void (const Context *, u64 function, u64 argument) */
FUNCTION(__maize_jump_in_place)
	ld ra, 0(a0)
	ld sp, 8(a0)
	each_register ld, fld, a0, 0
	mv a0, a2
	jr a1
END(__maize_jump_in_place)

/* noreturn void (const Context *, u64 address, u64 first, u64 second): to a landing pad */
FUNCTION(__maize_land)
	ld sp, 8(a0)
	each_register ld, fld, a0, 0
	mv t0, a1
	mv a0, a2
	mv a1, a3
	jr t0
END(__maize_land)

/* i64 (up to three arguments): hands them over with the caller's context as the fourth. */
.macro unwinder name, entry
FUNCTION(\name)
	.cfi_startproc
	addi sp, sp, -CONTEXT_SIZE
	.cfi_adjust_cfa_offset CONTEXT_SIZE
	addi t0, sp, CONTEXT_SIZE
	sd ra, 0(sp)
	sd t0, 8(sp)
	each_register sd, fsd, sp, 0
	mv a3, sp
	call \entry
	ld ra, 0(sp)
	addi sp, sp, CONTEXT_SIZE
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
	mv a7, a0
	mv a0, a1
	mv a1, a2
	mv a2, a3
	mv a3, a4
	mv a4, a5
	mv a5, a6
.endm

/* i64 (u64 native number, six arguments) */
FUNCTION(__maize_raw_syscall)
	kernel_arguments
	ecall
	ret
END(__maize_raw_syscall)

/* The same, but CANCELLED if the word whose address comes last is set before the kernel is entered: a signal handler that
 * finds the program counter in the window sends it to the end of this function. */
FUNCTION(__maize_interruptible_syscall)
	mv t0, a7
	kernel_arguments
.Lwindow_start:
	lw t1, 0(t0)
	bnez t1, .Lwindow_cancel
	ecall
.Lwindow_end:
	ret
.Lwindow_cancel:
	li a0, -5000
	ret
END(__maize_interruptible_syscall)

/* i64 (flags, stack, parent_tid, thread_pointer, child_tid); the new thread finds its function and argument on its stack */
FUNCTION(__maize_clone_thread)
	li a7, 220
	ecall
	beqz a0, .Lnew_thread
	ret
.Lnew_thread:
	ld a1, 0(sp)
	ld a2, 8(sp)
	addi a0, sp, 16
	tail __maize_enter_resumed
END(__maize_clone_thread)

/* noreturn void (munmap, base, size, exit): native numbers; neither call uses the stack that goes away */
FUNCTION(__maize_unmap_and_exit)
	mv a7, a0
	mv a0, a1
	mv a1, a2
	mv s1, a3
	ecall
	mv a7, s1
	mv a0, zero
	ecall
	unimp
END(__maize_unmap_and_exit)

FUNCTION(__maize_signal_restorer)
	li a7, 139
	ecall
	unimp
END(__maize_signal_restorer)

FUNCTION(__maize_set_host_thread_pointer)
	mv tp, a0
	ret
END(__maize_set_host_thread_pointer)

FUNCTION(__maize_thread_pointer)
	mv a0, tp
	ret
END(__maize_thread_pointer)

/* void (u64 address) */
FUNCTION(__maize_instruction_changed)
	ret
END(__maize_instruction_changed)

/* void (): for all threads, by riscv_flush_icache, since a thread may go on on another processor. */
FUNCTION(__maize_instructions_changed)
	li a0, 0
	li a1, 0
	li a2, 0
	li a7, 259
	ecall
	ret
END(__maize_instructions_changed)

/* struct Page: what Rust must know of this ISA. */
FUNCTION(__maize_isa_page)
	lla a0, .Lpage
	ret
	.p2align 3
.Lpage:
	.quad 3                                  /* maize_abi::Isa */
	.quad 176, 192, 184                      /* ucontext: program counter, stack pointer, return address */
	.quad 0x9002, 0                          /* c.ebreak */
	.quad 0x0001, 2                          /* c.nop */
	.quad 32, 32, 1                          /* f0 is DWARF register 32 */
	.quad 0                                  /* struct sigaction has no restorer */
	.quad 0x10000, 0x20000, 0x4000, 0x8000   /* O_DIRECTORY, O_NOFOLLOW, O_DIRECT, O_LARGEFILE */
	.quad .Lwindow_start, .Lwindow_end, .Lwindow_cancel, .Lbottom
	.ascii "__vdso_clock_gettime\0\0\0\0\0\0\0\0\0\0\0\0"
	/* Slots of the context's registers by DWARF number; 254 is the stack pointer, 255 none. */
	.byte 255, 255, 254, 255, 255, 255, 255, 255, 0, 1
	.fill 8, 1, 255
	.byte 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	.fill 12, 1, 255
	.byte 12, 13
	.fill 8, 1, 255
	.byte 14, 15, 16, 17, 18, 19, 20, 21, 22, 23
	.fill 36, 1, 255
END(__maize_isa_page)

	.section .note.GNU-stack, "", @progbits
#endif
