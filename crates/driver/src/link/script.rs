//! Linker scripts: where things are, see `maize_abi::layout`.

use super::symbols::Symbols;
use maize_abi::layout::{IMAGE_BASE, PAGE_SIZE, PRIVATE_RODATA_BASE, thread};
use maize_abi::symbols::{
    LOCAL_SECTION, RUNTIME_ARCHIVE, TLS_BSS_SECTION, TLS_DATA_SECTION, TLS_OFFSET_PREFIX, linker,
};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Text, the same on every ISA: cold code first, so that hot code stays together.
fn text(address: &str, segment: &str) -> String {
    format!(
        "  .text {address} : {{\n    {start} = .;\n    *(.text.unlikely .text.unlikely.*)\n    *(.text .text.*)\n    {end} = .;\n  }} {segment}\n",
        start = linker::TEXT_START,
        end = linker::TEXT_END,
    )
}

/// The script for x86-64, which lays out the data of all ISAs.
pub fn native(thread_locals: &BTreeSet<String>) -> String {
    let mut script = format!("ENTRY(_start)\nSECTIONS {{\n  . = {IMAGE_BASE:#x} + SIZEOF_HEADERS;\n");
    script.push_str(&text(&format!("ALIGN({PAGE_SIZE:#x})"), ""));
    let _ = write!(
        script,
        "  .rodata ALIGN({PAGE_SIZE:#x}) : {{ *(.rodata .rodata.*) }}
  .eh_frame : {{ *(.eh_frame) }}
  .gcc_except_table : {{ *(.gcc_except_table .gcc_except_table.*) }}
  {local} ALIGN({PAGE_SIZE:#x}) : {{
    {local_start} = .;
    *({local} {local}.*)
    . = ALIGN({PAGE_SIZE:#x});
    {local_end} = .;
  }}
  .data ALIGN({PAGE_SIZE:#x}) : {{
    {data_start} = .;
    *(.data.rel.ro .data.rel.ro.* .data .data.*)
    . = ALIGN(8);
    PROVIDE_HIDDEN(__preinit_array_start = .);
    KEEP(*(.preinit_array))
    PROVIDE_HIDDEN(__preinit_array_end = .);
    PROVIDE_HIDDEN(__init_array_start = .);
    KEEP(*(SORT_BY_INIT_PRIORITY(.init_array.*) SORT_BY_INIT_PRIORITY(.ctors.*)))
    KEEP(*(.init_array .ctors))
    PROVIDE_HIDDEN(__init_array_end = .);
    PROVIDE_HIDDEN(__fini_array_start = .);
    KEEP(*(SORT_BY_INIT_PRIORITY(.fini_array.*) SORT_BY_INIT_PRIORITY(.dtors.*)))
    KEEP(*(.fini_array .dtors))
    PROVIDE_HIDDEN(__fini_array_end = .);
  }}
  .got : {{ *(.got .got.plt) }}
  {tls_data} : {{
    {tls_start} = .;
    *({tls_data} {tls_data}.*)
    {tls_file_end} = .;
    *({tls_bss} {tls_bss}.*)
    {tls_end} = .;
  }}
  PROVIDE(edata = .);
  PROVIDE(_edata = .);
  .bss : {{
    PROVIDE(__bss_start = .);
    *{RUNTIME_ARCHIVE}:*(.bss .bss.*)
    . = ALIGN({PAGE_SIZE:#x});
    {program_bss_start} = .;
    *(.bss .bss.* COMMON)
  }}
  . = ALIGN({PAGE_SIZE:#x});
  {data_end} = .;
  PROVIDE(end = .);
  PROVIDE(_end = .);
  PROVIDE(etext = {text_end});
  PROVIDE(_etext = {text_end});
  PROVIDE(__ehdr_start = {IMAGE_BASE:#x});
",
        local = LOCAL_SECTION,
        local_start = linker::LOCAL_START,
        local_end = linker::LOCAL_END,
        data_start = linker::DATA_START,
        data_end = linker::DATA_END,
        program_bss_start = linker::PROGRAM_BSS_START,
        text_end = linker::TEXT_END,
        tls_data = TLS_DATA_SECTION,
        tls_bss = TLS_BSS_SECTION,
        tls_start = linker::TLS_START,
        tls_file_end = linker::TLS_FILE_END,
        tls_end = linker::TLS_END,
    );
    let gap = thread::TLS_GAP;
    let _ = writeln!(script, "  {} = ALIGNOF({TLS_DATA_SECTION});", linker::TLS_ALIGN);
    let _ = writeln!(script, "  {} = MAX({gap:#x}, ALIGNOF({TLS_DATA_SECTION}));", linker::TLS_OFFSET);
    for variable in thread_locals {
        let (start, offset) = (linker::TLS_START, linker::TLS_OFFSET);
        let _ = writeln!(script, "  \"{TLS_OFFSET_PREFIX}{variable}\" = \"{variable}\" - {start} + {offset};");
    }
    script.push_str("}\n");
    script
}

/// The script for another ISA: text where x86-64 has it, its private constants, and no data of its own.
pub fn foreign(symbols: &Symbols) -> String {
    // Named segments: lld would make one of its own, writable, for the offset table.
    let mut script = String::from(
        "ENTRY(_start)\nPHDRS {\n  text PT_LOAD FLAGS(5);\n  constants PT_LOAD FLAGS(4);\n  stack PT_GNU_STACK FLAGS(6);\n}\nSECTIONS {\n",
    );
    script.push_str(&text(&format!("{:#x}", symbols.text_address()), ":text"));
    let _ = writeln!(
        script,
        "  . = {PRIVATE_RODATA_BASE:#x} ;
  .rodata : {{ *(.rodata .rodata.* .srodata .srodata.* .data.DW.ref.*) }} :constants
  .eh_frame : {{ *(.eh_frame) }}
  .gcc_except_table : {{ *(.gcc_except_table .gcc_except_table.*) }}
  .got : {{ *(.got .got.plt) }}
}}",
    );
    for (name, address) in symbols.data() {
        let _ = writeln!(script, "PROVIDE(\"{name}\" = {address:#x});");
    }
    script
}
