//! Classes of random programs: single, multiple and virtual bases, virtual functions, constructors and destructors that say that they ran, and may throw.

use crate::generator::{Random, Scope};
use crate::statements::Body;
use std::fmt::Write;

/// Every class has these virtual functions, its own or inherited.
pub const METHODS: usize = 3;
const FIELDS: [&str; 6] = ["u64", "int", "double", "short", "unsigned char", "float"];

/// A class. Its bases are of lower index; `Class0` is the root of all, and always a virtual base.
pub struct Class {
    pub index: usize,
    bases: Vec<(usize, bool)>,
    fields: Vec<&'static str>,
}

impl Class {
    /// Draws bases and fields.
    pub fn new(index: usize, scope: &Scope, random: &mut Random) -> Class {
        let mut bases = Vec::new();
        for class in scope.classes.iter().skip(1) {
            if bases.len() < 2 && random.once_in(3) {
                bases.push((class.index, random.once_in(2)));
            }
        }
        // Nothing but the root may be there twice.
        if let [(first, _), (second, _)] = bases[..] {
            let others = scope.classes[second].ancestors(scope);
            if scope.classes[first].ancestors(scope).iter().any(|base| *base > 0 && others.contains(base)) {
                bases.remove(0);
            }
        }
        if bases.is_empty() && index > 0 {
            bases.push((0, true));
        }
        let fields = (0..1 + random.below(4)).map(|_| *random.pick(&FIELDS)).collect();
        Class { index, bases, fields }
    }

    /// Itself and all that it derives from.
    pub fn ancestors(&self, scope: &Scope) -> Vec<usize> {
        let mut found = vec![self.index];
        for &(base, _) in &self.bases {
            found.extend(scope.classes[base].ancestors(scope));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn base_list(&self) -> String {
        let names = self
            .bases
            .iter()
            .map(|(base, is_virtual)| format!("{}public Class{base}", if *is_virtual { "virtual " } else { "" }));
        let list: Vec<String> = names.collect();
        if list.is_empty() { String::new() } else { format!(" : {}", list.join(", ")) }
    }

    /// Direct bases and fields. Other virtual bases have their default.
    fn initialisers(&self, random: &mut Random) -> String {
        let mut list = Vec::new();
        for (base, _) in &self.bases {
            list.push(format!("Class{base}(seed * {} + {base})", random.constant() | 1));
        }
        for (number, ty) in self.fields.iter().enumerate() {
            let value = match *ty {
                "double" | "float" => format!("real(seed + {number})"),
                _ => format!("seed >> {number}"),
            };
            list.push(format!("field_{}_{number}({value})", self.index));
        }
        list.join(", ")
    }

    /// The value of a field, for use in an expression within the class.
    fn field(&self, number: usize) -> String {
        let name = format!("field_{}_{number}", self.index);
        match self.fields[number] {
            "double" | "float" => format!("bits({name})"),
            _ => format!("u64({name})"),
        }
    }

    pub fn define(&self, code: &mut String, scope: &Scope, random: &mut Random) {
        let index = self.index;
        let _ = writeln!(code, "struct Class{index}{} {{", self.base_list());
        for (number, ty) in self.fields.iter().enumerate() {
            let _ = writeln!(code, "    {ty} field_{index}_{number};");
        }
        let initialisers = self.initialisers(random);
        let (opening, closing) =
            if random.once_in(4) { ("try ", "catch (const Error &e) { mix(e.what()); throw; }") } else { ("", "") };
        let _ = writeln!(
            code,
            "    explicit Class{index}(u64 seed = 1) {opening}: {initialisers} {{\n        mix(seed + {index});"
        );
        if random.once_in(3) {
            let _ =
                writeln!(code, "        if (seed % {} == 0) throw {};", 3 + random.below(5), throwable(random, "seed"));
        }
        let _ = writeln!(code, "    }} {closing}\n    Class{index}(const Class{index} &) = delete;");
        let _ = write!(code, "    virtual ~Class{index}() {{\n        mix({});\n", self.field(0));
        if random.once_in(3) {
            // An exception that begins and ends while another may be on its way.
            let _ = writeln!(
                code,
                "        try {{\n            if (sum & 2) throw {};\n        }} catch (const Error &e) {{\n            mix(e.what());\n        }} catch (...) {{\n            mix(4);\n        }}",
                throwable(random, "sum")
            );
        }
        code.push_str("    }\n");
        for method in 0..METHODS {
            // Two bases may both override what the root declares: then this one must as well.
            if index > 0 && self.bases.len() < 2 && random.once_in(3) {
                continue;
            }
            let _ = writeln!(
                code,
                "    {}u64 method_{method}(u64 a, double d) {}{{\n        Pair p = {{{}, d}};",
                if index == 0 { "virtual " } else { "" },
                if index == 0 { "" } else { "override " },
                self.field(random.below(self.fields.len()))
            );
            code.push_str(&Body::new(scope, random).whole(1));
            code.push_str("    }\n");
        }
        code.push_str("};\n\n");
    }
}

/// Something to throw that carries a value.
pub fn throwable(random: &mut Random, value: &str) -> String {
    match random.below(6) {
        0 => format!("Error({value})"),
        1 => format!("Mild({value})"),
        2 => format!("Grave({value})"),
        3 => format!("int({value} % 1000)"),
        4 => format!("real({value})"),
        _ => format!("Plain{{{value}, 3}}"),
    }
}
