//! Statements and expressions of random programs. `a` (u64), `d` (double) and `p` (Pair) are there in every body, and variables v0 to v3.

use crate::classes::{METHODS, throwable};
use crate::generator::{Random, Scope};
use std::fmt::Write;

const VARIABLES: usize = 4;
const ELEMENTS: [&str; 4] = ["short", "u64", "unsigned char", "double"];

/// Writes the body of a function that returns u64.
pub struct Body<'a> {
    scope: &'a Scope,
    random: &'a mut Random,
    /// For names of their own.
    names: usize,
    loops: usize,
}

impl<'a> Body<'a> {
    pub fn new(scope: &'a Scope, random: &'a mut Random) -> Body<'a> {
        Body { scope, random, names: 0, loops: 0 }
    }

    /// All of it; with blocks nested so deep at most.
    pub fn whole(mut self, depth: usize) -> String {
        let mut code = String::from("        Deeper deeper;\n        if (exhausted()) return a;\n");
        for variable in 0..VARIABLES {
            let value = if variable == 0 { "a".into() } else { self.random.constant().to_string() + "u" };
            let _ = writeln!(code, "        u64 v{variable} = {value};");
        }
        code.push_str(&self.block(depth));
        let _ = writeln!(code, "        mix(v0 + v1);\n        return {} + bits(d) + p.first;", self.expression(2));
        code
    }

    fn block(&mut self, depth: usize) -> String {
        let count = 1 + self.random.below(3);
        (0..count).map(|_| self.statement(depth)).collect()
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("n{}", self.names)
    }

    fn variable(&mut self) -> String {
        format!("v{}", self.random.below(VARIABLES))
    }

    /// Without effects.
    fn expression(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.once_in(4) {
            return match self.random.below(7) {
                0 => format!("{}u", self.random.constant()),
                1 => "p.first".into(),
                2 => "bits(p.second)".into(),
                3 => "a".into(),
                _ => self.variable(),
            };
        }
        let (left, right) = (self.expression(depth - 1), self.expression(depth - 1));
        match self.random.below(10) {
            0 => format!("ratio({left}, {right})"),
            1 => format!("({left} >> ({right} & 31))"),
            2 => format!("u64(int({left}) < int({right}))"),
            3 => format!("total({left}, short({right}), 1.5f)"),
            4 => format!("unrolled<{}>({left})", self.random.below(6)),
            _ => format!("({left} {} {right})", self.random.pick(&["+", "-", "*", "^", "|"])),
        }
    }

    fn value(&mut self) -> String {
        self.expression(2)
    }

    fn statement(&mut self, depth: usize) -> String {
        let choices = if depth == 0 { 12 } else { 20 };
        let (variable, value) = (self.variable(), self.value());
        match self.random.below(choices) {
            0 => format!("{variable} = {value};\n"),
            1 => format!("d = tame(d {} real({value}));\n", self.random.pick(&["+", "-", "*"])),
            2 => format!("p.second = tame(p.second * 0.5 + d); p.first ^= {value};\n"),
            3 | 4 => self.call(&variable, &value),
            5 => format!("Guard {}({value});\n", self.name()),
            6 => self.throw(&value),
            7 => format!("{{ auto [x, y] = pair_of({value}, d); {variable} ^= x; d = tame(d + y); }}\n"),
            8 => format!("{variable} += large_of({value}).items[{}];\n", self.random.below(5)),
            9 => self.buffer(&variable, &value),
            10 => self.library(&variable, &value),
            11 => self.once(&variable, &value),
            12 | 13 => self.object(depth, &variable, &value),
            14..=16 => self.attempt(depth),
            17 => self.repeat(depth),
            18 => self.lambda(depth, &variable, &value),
            _ => self.branch(depth, &value),
        }
    }

    fn call(&mut self, variable: &str, value: &str) -> String {
        format!("{variable} = function_{}({value}, d, p);\n", self.random.below(self.scope.functions))
    }

    fn throw(&mut self, value: &str) -> String {
        let test = self.expression(1);
        format!("if (({test}) % {} == 0) throw {};\n", 2 + self.random.below(5), throwable(self.random, value))
    }

    /// A variable that the first call initialises, for all threads or each.
    fn once(&mut self, variable: &str, value: &str) -> String {
        let name = self.name();
        let kind = if self.random.once_in(2) { "static" } else { "static thread_local" };
        format!(
            "{{ {kind} u64 {name} = apply([&](u64 x) {{ mix(x); return x * 3; }}, {value}); {variable} += {name}++; }}\n"
        )
    }

    fn buffer(&mut self, variable: &str, value: &str) -> String {
        let (name, change) = (self.name(), self.value());
        let (element, length) = (*self.random.pick(&ELEMENTS), 1 + self.random.below(9));
        // What does not fit into an integer of another type must not be converted from a double.
        let seed = if element == "double" { format!("({value} & 0xffff)") } else { value.to_owned() };
        let change = if element == "double" { format!("({change} & 0xffff)") } else { change };
        format!(
            "{{ Buffer<{element}, {length}> {name}({seed}); {name}.map([&](u64 x) {{ mix(x); return {change}; }}); {variable} = {name}.total(); }}\n"
        )
    }

    fn library(&mut self, variable: &str, value: &str) -> String {
        if !self.scope.library {
            return format!("mix({value});\n");
        }
        let (name, other) = (self.name(), self.value());
        let function = self.random.below(self.scope.functions);
        match self.random.below(6) {
            0 => format!(
                "{{ std::vector<u64> {name}; for (u64 i = 0; i < ({value} & 15); i++) {name}.push_back(i * ({other})); try {{ {variable} = {name}.at({other} & 7); }} catch (const std::out_of_range &) {{ mix(5); }} }}\n"
            ),
            1 => format!(
                "{{ std::map<u64, std::string> {name}; for (u64 i = 0; i < 6; i++) {name}[({value} * i) % 7] += std::to_string({other} + i); for (auto &[key, text] : {name}) mix(key + text.size()); }}\n"
            ),
            2 => format!(
                "{{ std::function<u64(u64)> {name} = [=](u64 x) {{ return function_{function}(x, d, p); }}; {variable} = {name}({value}); }}\n"
            ),
            3 => format!(
                "{{ std::variant<u64, double, std::string> {name}; if ({value} & 1) {name} = d; else if ({value} & 2) {name} = std::string(\"text\"); try {{ {variable} ^= bits(std::get<double>({name})); }} catch (const std::bad_variant_access &) {{ mix({name}.index()); }} }}\n"
            ),
            4 => format!(
                "{{ auto {name} = std::make_shared<Guard>({value}); auto also = {name}; {variable} = function_{function}({other}, d, p) + also.use_count(); }}\n"
            ),
            _ => format!(
                "try {{ if ({value} & 1) throw std::runtime_error(\"of \" + std::to_string({other})); mix(1); }} catch (const std::exception &e) {{ mix(std::strlen(e.what())); }}\n"
            ),
        }
    }

    /// An object of a class, local or on the heap, used by itself or by way of a base.
    fn object(&mut self, depth: usize, variable: &str, value: &str) -> String {
        if self.scope.classes.is_empty() {
            return format!("mix({value});\n");
        }
        let name = self.name();
        let scope = self.scope;
        let class = self.random.pick(&scope.classes);
        let ancestors = class.ancestors(scope);
        let base = *self.random.pick(&ancestors);
        let other = self.random.pick(&scope.classes).index;
        let index = class.index;
        let mut code = match self.random.below(3) {
            0 => format!("{{ Class{index} {name}_object({value}); Class{base} &{name} = {name}_object;\n"),
            1 => format!(
                "{{ Owner<Class{base}> {name}_owner(new Class{index}({value})); Class{base} &{name} = *{name}_owner;\n"
            ),
            _ => format!(
                "{{ struct Local : Class{index} {{ Guard guard; explicit Local(u64 x) : Class{index}(x), guard(x + 1) {{}} }} {name}_object({value}); Class{base} &{name} = {name}_object;\n"
            ),
        };
        let argument = self.value();
        let (method, another) = (self.random.below(METHODS), self.random.below(METHODS));
        let _ = writeln!(code, "{variable} = {name}.method_{method}({argument}, d);");
        match self.random.below(4) {
            0 => {
                let _ = writeln!(
                    code,
                    "if (Class{other} *cast = dynamic_cast<Class{other} *>(&{name})) {variable} += cast->method_{another}(a, d);"
                );
            }
            1 => {
                let _ = writeln!(
                    code,
                    "u64 (Class0::*pointer)(u64, double) = a & 1 ? &Class0::method_{method} : &Class0::method_{another};\n{variable} ^= ({name}.*pointer)({argument}, d);"
                );
            }
            2 => {
                let _ = writeln!(
                    code,
                    "try {{ {variable} += dynamic_cast<Class{other} &>({name}).method_{another}(a, d); }} catch (const std::exception &) {{ mix(6); }}"
                );
            }
            _ => {}
        }
        if depth > 1 {
            code.push_str(&self.block(depth - 2));
        }
        code + "}\n"
    }

    fn attempt(&mut self, depth: usize) -> String {
        let mut code = format!("try {{\n{}}} ", self.block(depth - 1));
        let mut caught = false;
        // A handler for a derived class comes before that for its base.
        for (ty, seen) in [
            ("const Mild &", "e.what()"),
            ("Grave &", "e.what() + bits(e.weight)"),
            ("const Tag &", "bits(e.weight)"),
            ("const Error &", "e.what()"),
            ("int", "u64(e)"),
            ("double", "bits(e)"),
            ("const Plain &", "e.a + e.b"),
        ] {
            if self.random.once_in(5) {
                caught = true;
                let _ = write!(code, "catch ({ty} e) {{\nmix({seen});\n{}{}}} ", self.handler(depth), self.leave());
            }
        }
        if self.random.once_in(2) || !caught {
            let name = self.name();
            let value = self.value();
            let _ = match self.random.below(3) {
                0 => write!(
                    code,
                    "catch (...) {{\nstd::exception_ptr {name} = std::current_exception();\n{}try {{ std::rethrow_exception({name}); }} catch (const Error &e) {{ mix(e.what()); }} catch (...) {{ mix(8); }}\n}}",
                    self.handler(depth)
                ),
                1 => write!(code, "catch (...) {{\nGuard {name}({value});\n{}{}}}", self.handler(depth), self.leave()),
                _ => write!(code, "catch (...) {{ mix(7); }}"),
            };
        }
        code + "\n"
    }

    fn handler(&mut self, depth: usize) -> String {
        if depth > 1 { self.block(depth - 2) } else { self.statement(0) }
    }

    /// How a handler may end.
    fn leave(&mut self) -> String {
        let value = self.value();
        match self.random.below(8) {
            0 => "throw;\n".into(),
            1 => format!("if ({value} & 1) throw;\n"),
            2 => self.throw(&value),
            3 => format!("return {value};\n"),
            4 if self.loops > 0 => "continue;\n".into(),
            _ => String::new(),
        }
    }

    fn repeat(&mut self, depth: usize) -> String {
        let name = self.name();
        self.loops += 1;
        let body = self.block(depth - 1);
        self.loops -= 1;
        let (times, variable) = (2 + self.random.below(4), self.variable());
        format!(
            "for (u64 {name} = 0; {name} < {times} && !exhausted(); {name}++) {{\n{variable} += {name};\n{body}}}\n"
        )
    }

    fn lambda(&mut self, depth: usize, variable: &str, value: &str) -> String {
        let name = self.name();
        let capture = *self.random.pick(&["[&]", "[=]", "[&, a]"]);
        // The lambda is no part of the loop that it is in.
        let loops = std::mem::take(&mut self.loops);
        let body = self.block(depth - 1);
        self.loops = loops;
        let how = *self.random.pick(&["apply", "shielded"]);
        format!(
            "{{ auto {name} = {capture}(u64 x) mutable -> u64 {{\nv0 ^= x;\n{body}return x + v1;\n}};\n{variable} = {how}({name}, {value}); }}\n"
        )
    }

    fn branch(&mut self, depth: usize, value: &str) -> String {
        if self.random.once_in(2) {
            let (then, otherwise) = (self.block(depth - 1), self.block(depth - 1));
            return format!("if ({value} & 1) {{\n{then}}} else {{\n{otherwise}}}\n");
        }
        let cases: String =
            (0..3).map(|case| format!("case {case}: {{\n{}break;\n}}\n", self.block(depth - 1))).collect();
        format!("switch ({value} % 4) {{\n{cases}default: {}}}\n", self.statement(0))
    }
}
