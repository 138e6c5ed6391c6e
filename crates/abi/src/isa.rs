//! The instruction sets Maize targets. Per-ISA knowledge of other crates lives in their own
//! `isa/` files; this enumeration only names the ISAs and fixes their numbers in files and messages.

/// An instruction set architecture. The discriminants are part of the image and wire formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Isa {
    /// x86-64, baseline (SSE2).
    X86_64 = 1,
    /// AArch64, Armv8.0-A.
    Aarch64 = 2,
    /// RISC-V RV64GC, LP64D.
    Riscv64 = 3,
}

impl Isa {
    /// Every ISA, in the order in which images list them.
    pub const ALL: [Isa; 3] = [Isa::X86_64, Isa::Aarch64, Isa::Riscv64];

    /// The name used on the command line, in JSON and in section names.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::X86_64 => "x86_64",
            Isa::Aarch64 => "aarch64",
            Isa::Riscv64 => "riscv64",
        }
    }

    /// Looks an ISA up by the name `name` returns, or by the usual aliases `amd64`, `x86-64` and `arm64`.
    pub fn from_name(name: &str) -> Option<Isa> {
        match name {
            "x86_64" | "x86-64" | "amd64" => Some(Isa::X86_64),
            "aarch64" | "arm64" => Some(Isa::Aarch64),
            "riscv64" => Some(Isa::Riscv64),
            _ => None,
        }
    }

    /// The ISA with this number in files and messages.
    pub const fn from_number(number: u32) -> Option<Isa> {
        match number {
            1 => Some(Isa::X86_64),
            2 => Some(Isa::Aarch64),
            3 => Some(Isa::Riscv64),
            _ => None,
        }
    }

    /// The number of this ISA in files and messages.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// `e_machine` of this ISA's ELF files (ELF gABI, `EM_*`).
    pub const fn elf_machine(self) -> u16 {
        match self {
            Isa::X86_64 => 62,
            Isa::Aarch64 => 183,
            Isa::Riscv64 => 243,
        }
    }
}
