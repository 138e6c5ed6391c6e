//! The machine: what the assembly file of each ISA provides, and the registers that survive calls.

use core::sync::atomic::AtomicU32;

/// Registers in a [`Context`]: as many as the ISA with most of them needs.
pub const REGISTERS: usize = 24;

/// A suspended caller: where it goes on, and the registers that a call must preserve.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Context {
    /// Return address of the call at which it is suspended.
    pub program_counter: u64,
    /// Stack pointer after that call has returned.
    pub stack_pointer: u64,
    /// Integer and floating-point registers that calls preserve, in the order of the assembly file.
    pub registers: [u64; REGISTERS],
}

/// What the assembly entry of `__maize_syscall` hands over, on the caller's stack.
#[repr(C)]
pub struct Entry {
    /// The program.
    pub context: Context,
    /// System call number and arguments.
    pub call: [u64; 7],
    /// Set to the address of a `signal::Delivery` to have handlers run before the entry returns.
    pub delivery: u64,
}

const _: () = assert!(size_of::<Context>() == 208 && size_of::<Entry>() == 272);

/// What `__maize_interruptible_syscall` returns if a signal came before the kernel was entered.
pub const CANCELLED: i64 = -5000;

/// In [`Page::slots`]: the stack pointer.
const STACK_POINTER_SLOT: u8 = 254;

/// Constants of the ISA, next to its code.
#[repr(C)]
pub struct Page {
    /// `maize_abi::Isa::number`.
    pub isa: u64,
    /// Offset of the program counter in the kernel's `ucontext`.
    pub ucontext_program_counter: u64,
    /// Offset of the stack pointer in the kernel's `ucontext`.
    pub ucontext_stack_pointer: u64,
    /// Offset there of the register with a leaf function's return address; again of the program counter if calls put it on the stack.
    pub ucontext_return_address: u64,
    /// The instruction that traps.
    pub trap: u64,
    /// How far the program counter is behind a trap when its handler runs.
    pub trap_length: u64,
    /// What is there otherwise, and does nothing.
    pub nop: u64,
    /// Bytes of either.
    pub nop_length: u64,
    /// DWARF number of the first floating-point register; where they begin in a [`RegisterFile`], and how many words each takes.
    pub floating_point: [u64; 3],
    /// Whether the kernel's `struct sigaction` has a restorer.
    pub has_restorer: u64,
    /// Native `O_DIRECTORY`, `O_NOFOLLOW`, `O_DIRECT`, `O_LARGEFILE`.
    pub open_flags: [u64; 4],
    /// First instruction of the window in which an interruptible call can be cancelled.
    pub window_start: u64,
    /// After the window.
    pub window_end: u64,
    /// Where to go on to cancel.
    pub window_cancel: u64,
    /// Return address of a thread's outermost function.
    pub bottom: u64,
    /// Name of the vDSO's `clock_gettime`, zero-padded.
    pub clock_gettime: [u8; 32],
    /// Slots of registers in a context, by DWARF number.
    slots: [u8; 96],
}

unsafe extern "C" {
    fn __maize_isa_page() -> *const Page;
    fn __maize_enter_resumed(stack_top: u64, function: u64, argument: u64) -> !;
    fn __maize_jump_in_place(context: *const Context, function: u64, argument: u64) -> !;
    fn __maize_land(context: *const Context, address: u64, first: u64, second: u64) -> !;
    fn __maize_raw_syscall(number: u64, a1: u64, a2: u64, a3: u64, a4: u64, a5: u64, a6: u64) -> i64;
    fn __maize_interruptible_syscall(
        number: u64,
        a1: u64,
        a2: u64,
        a3: u64,
        a4: u64,
        a5: u64,
        a6: u64,
        interrupted: *const AtomicU32,
    ) -> i64;
    fn __maize_clone_thread(flags: u64, stack: u64, parent_tid: u64, thread_pointer: u64, child_tid: u64) -> i64;
    fn __maize_unmap_and_exit(munmap: u64, base: u64, size: u64, exit: u64) -> !;
    fn __maize_signal_restorer();
    fn __maize_set_host_thread_pointer(thread_pointer: u64);
    fn __maize_thread_pointer() -> u64;
    fn __maize_syscall_resume(record: u64) -> i64;
    fn __maize_point_resume(record: u64);
    fn __maize_delivery_resume(record: u64) -> i64;
    fn __maize_instruction_changed(address: u64);
    fn __maize_instructions_changed();
}

/// This ISA's constants.
pub fn page() -> &'static Page {
    // SAFETY: the page is in the image's text.
    unsafe { &*__maize_isa_page() }
}

/// Where the values of a suspended frame may be.
pub trait Registers {
    /// The register with this DWARF number, if it is known.
    fn register(&self, dwarf: u32) -> Option<u64>;
}

impl Registers for Context {
    fn register(&self, dwarf: u32) -> Option<u64> {
        match *page().slots.get(dwarf as usize)? {
            STACK_POINTER_SLOT => Some(self.stack_pointer),
            slot => self.registers.get(usize::from(slot)).copied(),
        }
    }
}

/// Words of a [`RegisterFile`]: as many as the ISA with most of them needs.
const FILE_WORDS: usize = 96;

/// All registers at a migration point, on the stack of `__maize_point`: the integer registers in the order of their DWARF numbers,
/// then the floating-point registers with all of their bits.
#[repr(C)]
pub struct RegisterFile([u64; FILE_WORDS]);

impl Registers for RegisterFile {
    fn register(&self, dwarf: u32) -> Option<u64> {
        let [first, at, words] = page().floating_point;
        let index = match u64::from(dwarf).checked_sub(first) {
            Some(number) => at + number * words,
            None => u64::from(dwarf),
        };
        self.0.get(index as usize).copied()
    }
}

impl RegisterFile {
    /// What of it the frame's caller needs.
    pub fn context(&self, return_address: u64) -> Context {
        let mut context = Context { program_counter: return_address, stack_pointer: 0, registers: [0; REGISTERS] };
        for (dwarf, &slot) in (0..).zip(&page().slots) {
            let value = self.register(dwarf).unwrap_or(0);
            match slot {
                STACK_POINTER_SLOT => context.stack_pointer = value,
                slot => {
                    if let Some(place) = context.registers.get_mut(usize::from(slot)) {
                        *place = value;
                    }
                }
            }
        }
        context
    }
}

/// The index in [`Context::registers`] of the register with this DWARF number.
pub fn register_slot(dwarf: u32) -> Option<usize> {
    let slot = usize::from(*page().slots.get(dwarf as usize)?);
    (slot < REGISTERS).then_some(slot)
}

/// Whether a return address is that of a thread's outermost function.
pub fn is_bottom(program_counter: u64) -> bool {
    program_counter == page().bottom
}

/// Empties the stack below `stack_top` and calls `function(argument)` as a thread's outermost function.
///
/// # Safety
/// Nothing on the stack below `stack_top` is used any more.
pub unsafe fn enter_resumed(stack_top: u64, function: u64, argument: u64) -> ! {
    // SAFETY: by the contract above.
    unsafe { __maize_enter_resumed(stack_top, function, argument) }
}

/// Drops the frames above `context` and calls `function(argument)` in place of the call it is suspended at.
///
/// # Safety
/// The frame of `context` is live.
pub unsafe fn jump_in_place(context: &Context, function: u64, argument: u64) -> ! {
    // SAFETY: by the contract above.
    unsafe { __maize_jump_in_place(context, function, argument) }
}

/// Drops the frames above `context` and goes on at `address` within its function, with two values in the registers in which landing pads
/// expect the exception and the selector.
///
/// # Safety
/// The frame of `context` is live, and `address` that of a landing pad of the call it is suspended at.
pub unsafe fn land(context: &Context, address: u64, [first, second]: [u64; 2]) -> ! {
    // SAFETY: by the contract above.
    unsafe { __maize_land(context, address, first, second) }
}

/// A system call of this ISA's kernel interface, by its own number.
///
/// # Safety
/// That of the call.
pub unsafe fn raw_syscall(number: u64, arguments: [u64; 6]) -> i64 {
    let [a1, a2, a3, a4, a5, a6] = arguments;
    // SAFETY: by the contract above.
    unsafe { __maize_raw_syscall(number, a1, a2, a3, a4, a5, a6) }
}

/// As [`raw_syscall`], but [`CANCELLED`] if `interrupted` is set when the kernel would be entered.
///
/// # Safety
/// That of the call.
pub unsafe fn interruptible_syscall(number: u64, arguments: [u64; 6], interrupted: &AtomicU32) -> i64 {
    let [a1, a2, a3, a4, a5, a6] = arguments;
    // SAFETY: by the contract above.
    unsafe { __maize_interruptible_syscall(number, a1, a2, a3, a4, a5, a6, interrupted) }
}

/// `clone` of a thread whose outermost function, and that one's argument, are the two words at `stack`.
///
/// # Safety
/// As for `clone(2)`; `flags` must ask for a thread and for its thread pointer to be set.
pub unsafe fn clone_thread(flags: u64, stack: u64, parent_tid: u64, thread_pointer: u64, child_tid: u64) -> i64 {
    // SAFETY: by the contract above.
    unsafe { __maize_clone_thread(flags, stack, parent_tid, thread_pointer, child_tid) }
}

/// Unmaps memory, which may hold the calling thread's stack, and ends the thread. The calls go by their native numbers.
///
/// # Safety
/// Nobody else uses the memory.
pub unsafe fn unmap_and_exit(munmap: u64, base: u64, size: u64, exit: u64) -> ! {
    // SAFETY: by the contract above.
    unsafe { __maize_unmap_and_exit(munmap, base, size, exit) }
}

/// Address of the code that returns from a signal handler on the host.
pub fn signal_restorer() -> u64 {
    __maize_signal_restorer as *const () as u64
}

/// Sets the thread pointer register.
///
/// # Safety
/// `thread_pointer` is a thread block as `maize_abi::layout::thread` describes it.
pub unsafe fn set_host_thread_pointer(thread_pointer: u64) {
    // SAFETY: by the contract above.
    unsafe { __maize_set_host_thread_pointer(thread_pointer) }
}

/// The thread pointer; the register must have been set.
pub fn thread_pointer() -> u64 {
    // SAFETY: reads a register, or the word that the register addresses.
    unsafe { __maize_thread_pointer() }
}

/// What to write as `resume` into a leaf record whose seven values are a system call to be issued again. Not a Rust function, which
/// would be a frame on the stack that a second move could not suspend.
pub fn syscall_resume() -> u64 {
    __maize_syscall_resume as *const () as u64
}

/// What to write as `resume` into a leaf record that stands for a migration point.
pub fn point_resume() -> u64 {
    __maize_point_resume as *const () as u64
}

/// What to write as `resume` into a leaf record whose value is the address of a `signal::Delivery`.
pub fn delivery_resume() -> u64 {
    __maize_delivery_resume as *const () as u64
}

/// Code at an address has been overwritten; to be followed, after the last of several, by [`instructions_changed`].
pub fn instruction_changed(address: u64) {
    // SAFETY: at most writes back a line of the cache.
    unsafe { __maize_instruction_changed(address) }
}

/// Has this processor fetch anew what was overwritten.
pub fn instructions_changed() {
    // SAFETY: a barrier.
    unsafe { __maize_instructions_changed() }
}
