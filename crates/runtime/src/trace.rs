//! `MAIZE_TRACE=syscalls`: every system call on standard error.

use crate::signal::delivery::Afterwards;
use crate::syscall::kernel;
use crate::syscall::numbers::WRITE;
use crate::syscall::table;

/// A line in the making; what does not fit is cut.
struct Line {
    text: [u8; 256],
    length: usize,
}

impl Line {
    fn text(&mut self, text: &str) {
        for &byte in text.as_bytes() {
            if let Some(place) = self.text.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
    }

    fn number(&mut self, mut value: u64, base: u64) {
        let mut digits = [0u8; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b"0123456789abcdef"[(value % base) as usize];
            value /= base;
            if value == 0 {
                break;
            }
        }
        self.text(core::str::from_utf8(&digits[start..]).unwrap_or_default());
    }

    /// Small numbers in decimal, others are addresses or flags.
    fn value(&mut self, value: u64) {
        if value as i64 > -4096 && (value as i64) < 0 {
            self.text("-");
            self.number(value.wrapping_neg(), 10);
        } else if value < 1 << 16 {
            self.number(value, 10);
        } else {
            self.text("0x");
            self.number(value, 16);
        }
    }
}

/// Prints a call and what became of it.
pub fn call(call: &[u64; 7], afterwards: Afterwards) {
    let mut line = Line { text: [0; 256], length: 0 };
    let [number, arguments @ ..] = call;
    match table::find(number & 0xffff_ffff) {
        Some(row) => {
            line.text(row.name);
            line.text("(");
            for (index, &argument) in arguments.iter().take(row.arguments.into()).enumerate() {
                line.text(if index == 0 { "" } else { ", " });
                line.value(argument);
            }
            line.text(")");
        }
        None => {
            line.text("unknown system call ");
            line.number(*number, 10);
        }
    }
    match afterwards {
        Afterwards::Return(result) => {
            line.text(" = ");
            line.value(result as u64);
        }
        Afterwards::Again(_) => line.text(" interrupted"),
    }
    line.text("\n");
    // SAFETY: the kernel only reads the text.
    unsafe { kernel::call(WRITE, [2, line.text.as_ptr() as u64, line.length as u64]) };
}
