//! A panic is a fault of the runtime's; it ends the program with a message.

use crate::process::fatal;
use core::panic::PanicInfo;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    fatal("internal error in the runtime")
}
