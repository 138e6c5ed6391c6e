//! Prints what the passes make of a module: `instrument FILE.ll [asm ISA]`.
use maize_passes::{CompileOptions, compile_to_assembly, instrument_to_text};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let mut source = std::fs::read(&arguments[1]).unwrap();
    source.push(0);
    let options = CompileOptions {
        optimization_level: 3,
        unit_name: arguments[1].clone(),
        isas: maize_abi::Isa::ALL.to_vec(),
        instrument: true,
        non_migrating: Default::default(),
        fault: None,
    };
    let text = match arguments.get(3) {
        Some(isa) => compile_to_assembly(&source, &options, maize_abi::Isa::from_name(isa).unwrap()),
        None => instrument_to_text(&source, &options, maize_passes::Pass::GlobalDce),
    };
    match text {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("{error}"),
    }
}
