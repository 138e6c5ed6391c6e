//! What LLVM must be told about each ISA. A new ISA is one more constant here.

use inkwell::llvm_sys::support::LLVMParseCommandLineOptions;
use inkwell::llvm_sys::target;
use maize_abi::Isa;
use std::sync::Once;

/// One ISA as LLVM names it.
pub struct Target {
    /// Target triple.
    pub triple: &'static str,
    /// Baseline processor.
    pub cpu: &'static str,
    /// Features beyond the processor's.
    pub features: &'static str,
    /// Name of the ABI where the triple leaves a choice.
    pub abi: &'static str,
    /// Whether registers hold 32-bit numbers as such.
    pub has_32_bit_registers: bool,
    /// What does nothing, in assembly, and can be overwritten with a trap.
    pub nop: &'static str,
    /// Bodies, as IR that ends with a NUL, of intrinsics that LLVM makes more of than the ISA needs.
    pub bodies: &'static str,
    /// Whether addresses are computed from an index as they are used; else loops had better step pointers.
    pub scales_addresses: bool,
    initialize: fn(),
}

impl Target {
    /// The constants of an ISA.
    pub fn of(isa: Isa) -> Target {
        match isa {
            Isa::X86_64 => Target {
                triple: "x86_64-unknown-linux-musl",
                cpu: "x86-64",
                // No instruction may have over 15 bytes, the prefix of a migration point included.
                features: "-fast-15bytenop,-fast-11bytenop",
                abi: "",
                has_32_bit_registers: true,
                // A segment override that means nothing in 64-bit mode (Intel SDM volume 1, 3.3.7.1); it takes no
                // cycle, being part of the next instruction.
                nop: ".byte 0x2e",
                bodies: concat!(include_str!("x86_64_conversions.ll"), "\0"),
                scales_addresses: true,
                initialize: x86_64,
            },
            Isa::Aarch64 => Target {
                triple: "aarch64-unknown-linux-musl",
                cpu: "generic",
                features: "+neon,+fp-armv8",
                abi: "",
                has_32_bit_registers: true,
                nop: "nop",
                bodies: "",
                scales_addresses: true,
                initialize: aarch64,
            },
            Isa::Riscv64 => Target {
                triple: "riscv64-unknown-linux-musl",
                cpu: "generic-rv64",
                features: "+m,+a,+f,+d,+c",
                abi: "lp64d",
                has_32_bit_registers: false,
                nop: "nop",
                bodies: "",
                scales_addresses: false,
                initialize: riscv64,
            },
        }
    }

    /// Registers all back ends with LLVM, whose registry must not change while another thread looks something up; may be called any number of times.
    pub fn initialize_all() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            set_options();
            // SAFETY: called once, before code is generated.
            unsafe { maize_preserve_registers_at_points() }
            Isa::ALL.into_iter().for_each(|isa| (Target::of(isa).initialize)());
        });
    }
}

unsafe extern "C" {
    /// See `llvm/point_masks.cpp`.
    fn maize_preserve_registers_at_points();
}

/// LLVM options that have no other interface.
fn set_options() {
    // Values live at a site stay in callee-saved registers; without the first each would be stored to the stack before
    // each call. Without the second, values that could be computed anew would all be, into registers, right before the call.
    // The third keeps the cold sides of migration points out of loops. Strength reduction takes what sites name for uses of
    // their own and gives each a register; so it is left out, or run by name (`Target::scales_addresses`). Arguments are not pushed:
    // a landing pad would have to take them off the stack, by how many there were at the call.
    let arguments = [
        c"maize".as_ptr(),
        c"-use-registers-for-deopt-values".as_ptr(),
        c"-restrict-statepoint-remat".as_ptr(),
        c"-force-loop-cold-block".as_ptr(),
        c"-disable-lsr".as_ptr(),
        c"-no-x86-call-frame-opt".as_ptr(),
    ];
    // SAFETY: the strings are static, and `Once` keeps other threads from parsing at the same time.
    unsafe { LLVMParseCommandLineOptions(arguments.len() as i32, arguments.as_ptr(), std::ptr::null()) }
}

fn x86_64() {
    // SAFETY: no other thread uses the registry yet.
    unsafe {
        target::LLVMInitializeX86TargetInfo();
        target::LLVMInitializeX86Target();
        target::LLVMInitializeX86TargetMC();
        target::LLVMInitializeX86AsmPrinter();
        target::LLVMInitializeX86AsmParser();
    }
}

fn aarch64() {
    // SAFETY: no other thread uses the registry yet.
    unsafe {
        target::LLVMInitializeAArch64TargetInfo();
        target::LLVMInitializeAArch64Target();
        target::LLVMInitializeAArch64TargetMC();
        target::LLVMInitializeAArch64AsmPrinter();
        target::LLVMInitializeAArch64AsmParser();
    }
}

fn riscv64() {
    // SAFETY: no other thread uses the registry yet.
    unsafe {
        target::LLVMInitializeRISCVTargetInfo();
        target::LLVMInitializeRISCVTarget();
        target::LLVMInitializeRISCVTargetMC();
        target::LLVMInitializeRISCVAsmPrinter();
        target::LLVMInitializeRISCVAsmParser();
    }
}
