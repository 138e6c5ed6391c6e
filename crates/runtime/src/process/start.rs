//! The program's start: from the kernel's initial stack to the libc's entry.

use super::thread::{Thread, life};
use super::{control, fatal, identity, node, proc_files};
use crate::events;
use crate::isa::enter_resumed;
use crate::local;
use crate::memory;
use crate::memory::calls::KEPT_DESCRIPTORS;
use crate::migration;
use crate::signal;
use crate::syscall::kernel;
use crate::syscall::numbers::*;
use crate::time;
use core::cell::UnsafeCell;
use core::sync::atomic::Ordering;
use maize_abi::control::{DESCRIPTOR_VARIABLE, Kind, Message};
use maize_abi::layout::thread::TLS_GAP;
use maize_abi::processes::{Request, SERVED};

/// Bytes of the main thread's shadow stack if the stack's size is not limited.
const UNLIMITED_STACK: u64 = 64 << 20;
/// Least and most bytes of the main thread's shadow stack.
const STACK_RANGE: (u64, u64) = (128 << 10, 4 << 30);

const AT_NULL: u64 = 0;
const AT_IGNORE: u64 = 1;
const AT_PHDR: u64 = 3;
const AT_PHENT: u64 = 4;
const AT_PHNUM: u64 = 5;
const AT_PLATFORM: u64 = 15;
const AT_HWCAP: u64 = 16;
const AT_BASE_PLATFORM: u64 = 24;
const AT_RANDOM: u64 = 25;
const AT_HWCAP2: u64 = 26;
const AT_EXECFN: u64 = 31;
const AT_SYSINFO_EHDR: u64 = 33;

/// The main thread's block until the libc has made its own.
#[repr(C, align(64))]
struct FirstBlock(UnsafeCell<[u64; TLS_GAP as usize / 8]>);

// SAFETY: used by the main thread only.
unsafe impl Sync for FirstBlock {}

static FIRST_BLOCK: FirstBlock = FirstBlock(UnsafeCell::new([0; TLS_GAP as usize / 8]));

unsafe extern "C" {
    fn __maize_libc_start(initial_stack: u64) -> !;
    static __maize_tls_start: u8;
    static __maize_tls_file_end: u8;
    static __maize_tls_end: u8;
    static __maize_tls_align: u8;
}

/// `Elf64_Phdr` (ELF gABI, chapter 5).
#[derive(Clone, Copy)]
#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical_address: u64,
    file_size: u64,
    memory_size: u64,
    alignment: u64,
}

/// What the libc finds as the program's headers: the TLS image alone. The file's own differ between ISAs, and programs keep
/// pointers to them.
fn program_header() -> ProgramHeader {
    const PT_TLS: u32 = 7;
    const PF_R: u32 = 4;
    let (start, file_end) = (&raw const __maize_tls_start as u64, &raw const __maize_tls_file_end as u64);
    let (end, alignment) = (&raw const __maize_tls_end as u64, &raw const __maize_tls_align as u64);
    ProgramHeader {
        kind: PT_TLS,
        flags: PF_R,
        offset: 0,
        address: start,
        physical_address: start,
        file_size: file_end - start,
        memory_size: end - start,
        alignment: alignment.max(1),
    }
}

/// The initial stack as the kernel lays it out (x86-64 psABI section 3.4.1).
#[derive(Clone, Copy)]
struct InitialStack {
    start: *const u64,
}

impl InitialStack {
    /// The word with this index.
    ///
    /// # Safety
    /// The words before it include the end of no list but those that precede it.
    unsafe fn word(self, index: usize) -> u64 {
        // SAFETY: by the contract above.
        unsafe { self.start.add(index).read() }
    }

    fn argument_count(self) -> usize {
        // SAFETY: the first word is always there.
        unsafe { self.word(0) as usize }
    }

    fn environment(self) -> usize {
        self.argument_count() + 2
    }

    fn auxiliary_vector(self) -> usize {
        let mut index = self.environment();
        // SAFETY: a null ends the environment.
        while unsafe { self.word(index) } != 0 {
            index += 1;
        }
        index + 1
    }

    /// The words, up to the end of the auxiliary vector.
    fn words(self) -> &'static [u64] {
        let mut index = self.auxiliary_vector();
        // SAFETY: AT_NULL ends the vector; the stack outlives the process's start.
        unsafe {
            while self.word(index) != AT_NULL {
                index += 2;
            }
            core::slice::from_raw_parts(self.start, index + 2)
        }
    }

    fn auxiliary(self, kind: u64) -> Option<u64> {
        let vector = self.words().get(self.auxiliary_vector()..)?;
        vector.chunks_exact(2).find(|pair| pair.first() == Some(&kind)).and_then(|pair| pair.get(1).copied())
    }

    /// The value of an environment variable.
    fn variable(self, name: &str) -> Option<&'static [u8]> {
        let environment = self.words().get(self.environment()..self.auxiliary_vector() - 1)?;
        environment.iter().find_map(|&address| value_of(address, name))
    }
}

/// The bytes of a string of the kernel's, without its end.
fn text(address: u64) -> &'static [u8] {
    let mut length = 0;
    // SAFETY: the kernel's strings end with NUL and outlive the process's start.
    unsafe {
        while *((address + length) as *const u8) != 0 {
            length += 1;
        }
        core::slice::from_raw_parts(address as *const u8, length as usize)
    }
}

/// What follows `NAME=` if the string starts so.
fn value_of(address: u64, name: &str) -> Option<&'static [u8]> {
    text(address).strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

/// Where a process begins.
///
/// # Safety
/// Called once, by `_start`.
#[unsafe(no_mangle)]
unsafe extern "C" fn __maize_start(initial_stack: *const u64) -> ! {
    let initial = InitialStack { start: initial_stack };
    local::STACK_TOP.store(initial_stack as u64 & !15, Ordering::Relaxed);
    if let Some(names) = initial.variable("MAIZE_TRACE") {
        let traced = names.split(|&byte| byte == b',').any(|name| name == b"syscalls");
        local::TRACE_CALLS.store(traced.into(), Ordering::Relaxed);
    }
    if let Some(image) = initial.auxiliary(AT_SYSINFO_EHDR) {
        time::find_clock(image);
    }
    let id = initial.variable(DESCRIPTOR_VARIABLE).and_then(take_control);
    // SAFETY: called once.
    unsafe { begin_program(initial, id) }
}

/// Takes the control socket over and, unless the program is executed by another one, waits to be told what to do. Returns the id that
/// the process has already if it is.
fn take_control(value: &[u8]) -> Option<u64> {
    let mut numbers =
        value.split(|&byte| byte == b' ').map(|digits| core::str::from_utf8(digits).ok()?.parse::<u64>().ok());
    let Some(given) = numbers.next().flatten() else { fatal("MAIZE_CONTROL_FD is not a descriptor") };
    // SAFETY: the descriptor is the runtime's by its name; it moves out of the program's way.
    let control = unsafe {
        match kernel::call(FCNTL, [given, F_DUPFD_CLOEXEC, KEPT_DESCRIPTORS]) {
            control if control < 0 => kernel::call(FCNTL, [given, F_DUPFD_CLOEXEC, 3]),
            control => control,
        }
    };
    if control < 0 {
        fatal("MAIZE_CONTROL_FD does not name an open descriptor");
    }
    // SAFETY: as above.
    unsafe { kernel::call(CLOSE, [given]) };
    local::CONTROL.store(control, Ordering::Relaxed);
    // SAFETY: takes no pointers.
    local::NODE.store(unsafe { kernel::call(GETPPID, []) }, Ordering::Relaxed);
    if let Some(id) = numbers.next() {
        node::serve();
        return id;
    }
    let mut packet = [0u8; size_of::<Message>()];
    // SAFETY: the buffer is as long as said.
    let length = unsafe { kernel::call(READ, [control as u64, packet.as_mut_ptr() as u64, packet.len() as u64]) };
    let message = usize::try_from(length).ok().and_then(|length| packet.get(..length)).and_then(Message::from_bytes);
    match message.as_ref().map(|message| (message.kind(), message.values)) {
        Some((Some(Kind::Run), [counts, next, passes, served, ..])) => {
            if counts == 1 {
                events::ask(next, passes);
            }
            if served == SERVED {
                node::serve();
            }
            note_executable(message);
        }
        Some((Some(Kind::Receive), _)) => migration::receive(),
        _ => fatal("`maize run` is of another version than this program was linked with (link it again), or is gone"),
    }
    None
}

/// Sets up the program's memory, thread and signals, and enters the libc.
///
/// # Safety
/// Called once.
unsafe fn begin_program(initial: InitialStack, id: Option<u64>) -> ! {
    let top = memory::initialise(shadow_stack_size());
    // SAFETY: the shadow stack was just made, and is unused.
    let copy = unsafe { copy_to(initial, top) };
    // SAFETY: the block is the first thread's, and used by nothing yet.
    if unsafe { life::begin_first(FIRST_BLOCK.0.get() as u64, copy & !15) }.is_none() {
        fatal("there is no memory for what is kept of its thread");
    }
    identity::begin(id.unwrap_or_else(identity::host_pid));
    if id.is_some() {
        migration::record_locks::may_hold();
        note_executable(node::ask(Request::Executed, &[], None).map(|answer| answer.message));
    }
    signal::calls::begin();
    // Before the handler was there, nobody heard the node.
    local::ATTENTION.store(1, Ordering::Relaxed);
    Thread::current().wanted.note();
    events::begin();
    // SAFETY: the stack below its top holds nothing that is still needed.
    unsafe { enter_resumed(super::stack_top(), __maize_libc_start as *const () as u64, copy) }
}

/// The node says which file is executed; otherwise the kernel knows.
fn note_executable(message: Option<Message>) {
    match message.as_ref().map(Message::text) {
        Some(path) if !path.is_empty() => {
            proc_files::set_executable(path.as_bytes());
            control::begin(path.as_bytes());
        }
        _ => proc_files::find_executable(),
    }
}

fn shadow_stack_size() -> u64 {
    const RLIMIT_STACK: u64 = 3;
    let mut limit = [u64::MAX; 2];
    // SAFETY: the buffer is a `struct rlimit64`.
    unsafe { kernel::call(PRLIMIT64, [0, RLIMIT_STACK, 0, limit.as_mut_ptr() as u64]) };
    let size = if limit[0] == u64::MAX { UNLIMITED_STACK } else { limit[0] };
    size.clamp(STACK_RANGE.0, STACK_RANGE.1).next_multiple_of(maize_abi::layout::PAGE_SIZE)
}

/// Copies the initial stack with its strings to below `top`, without what is not the program's; returns where it starts.
///
/// # Safety
/// There is room below `top`.
unsafe fn copy_to(initial: InitialStack, top: u64) -> u64 {
    let words = initial.words();
    let (environment, auxiliary) = (initial.environment(), initial.auxiliary_vector());
    let header = (top - 16 - size_of::<ProgramHeader>() as u64) & !15;
    // SAFETY: by the contract above.
    unsafe { (header as *mut ProgramHeader).write(program_header()) };
    // The kernel's strings are together in at most a third of the stack, so the words have room below them.
    let reserve: usize =
        words.iter().take(auxiliary).skip(1).filter(|&&word| word != 0).map(|&word| text(word).len() + 1).sum();
    let copy = (header - reserve as u64 - 4096 - 8 * words.len() as u64) & !15;
    // Arguments and environment come one after the other, as the kernel has them; the strings of the auxiliary vector are below.
    let mut strings = header - reserve as u64;
    let mut auxiliary_strings = strings;
    let (arguments_start, mut environment_start) = (strings, strings);
    let place = |bytes: &[u8], address: u64| {
        // SAFETY: by the contract above; fresh memory ends the string.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) };
        address
    };
    let mut length = 0;
    let mut write = |word: u64| {
        // SAFETY: as above.
        unsafe { ((copy + 8 * length) as *mut u64).write(word) };
        length += 1;
    };
    for (index, &word) in words.iter().enumerate().take(auxiliary) {
        if index == 0 || word == 0 {
            write(word);
        } else if index < environment || value_of(word, DESCRIPTOR_VARIABLE).is_none() {
            let string = text(word);
            write(place(string, strings));
            strings += string.len() as u64 + 1;
            if index < environment {
                environment_start = strings;
            }
        }
    }
    proc_files::set_strings([arguments_start, environment_start, strings]);
    let mut put = |bytes: &[u8]| {
        auxiliary_strings -= bytes.len() as u64 + 1;
        place(bytes, auxiliary_strings)
    };
    for pair in words.get(auxiliary..).unwrap_or_default().chunks_exact(2) {
        let &[kind, value] = pair else { continue };
        let (kind, value) = match kind {
            AT_EXECFN => (kind, put(text(value))),
            AT_PHDR => (kind, header),
            AT_PHENT => (kind, size_of::<ProgramHeader>() as u64),
            AT_PHNUM => (kind, 1),
            // Programs may come to another ISA; all are told the same.
            AT_PLATFORM => (kind, put(b"x86_64")),
            AT_HWCAP | AT_HWCAP2 => (kind, 0),
            AT_SYSINFO_EHDR | AT_BASE_PLATFORM => (AT_IGNORE, 0),
            // SAFETY: the kernel gives 16 bytes.
            AT_RANDOM => (kind, put(unsafe { core::slice::from_raw_parts(value as *const u8, 16) })),
            _ => (kind, value),
        };
        write(kind);
        write(value);
    }
    copy
}
