//! Clocks. They are read in the vDSO, without entering the kernel, where there is one; its place is the node's.

pub mod vdso;

#[cfg(not(test))]
pub use host::*;

#[cfg(not(test))]
mod host {
    use super::vdso;
    use crate::isa;
    use crate::local::VDSO_CLOCK;
    use crate::syscall::kernel;
    use crate::syscall::numbers::*;
    use core::sync::atomic::{AtomicI64, Ordering};

    /// What the program's clocks that run from the machine's start are ahead of this machine's, ns. A restored program's go on
    /// from where they were (docs/snapshot.md); otherwise this is 0.
    static AHEAD: AtomicI64 = AtomicI64::new(0);

    /// Clocks that run from the machine's start: monotonic, raw, coarse, boot time and its alarm's.
    const fn runs_from_start(clock: u64) -> bool {
        matches!(clock, CLOCK_MONOTONIC | 4 | 6 | CLOCK_BOOTTIME | 9)
    }

    /// Sets what they are ahead.
    pub fn set_ahead(nanoseconds: i64) {
        AHEAD.store(nanoseconds, Ordering::Relaxed);
    }

    /// Whether they are.
    pub fn are_ahead() -> bool {
        AHEAD.load(Ordering::Relaxed) != 0
    }

    /// A time of the program's clock as this machine's has it, ns.
    pub fn to_host(clock: u64, nanoseconds: u64) -> u64 {
        if runs_from_start(clock) {
            nanoseconds.saturating_add_signed(AHEAD.load(Ordering::Relaxed).saturating_neg())
        } else {
            nanoseconds
        }
    }

    /// A time at an address, as an argument of a call, as this machine's clock has it; none if it need not be another.
    ///
    /// # Safety
    /// The address is that of a `Timespec`.
    pub unsafe fn argument_to_host(clock: u64, address: u64) -> Option<Timespec> {
        if !runs_from_start(clock) || AHEAD.load(Ordering::Relaxed) == 0 || address == 0 {
            return None;
        }
        // SAFETY: by the contract above. What is no time the kernel refuses.
        let time = unsafe { (address as *const Timespec).read() }.nanoseconds(NANOSECONDS)?;
        Some(Timespec::from_nanoseconds(to_host(clock, time)))
    }

    /// `struct timespec`; `struct timeval` has the same layout.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[repr(C)]
    pub struct Timespec {
        /// Seconds.
        pub seconds: i64,
        /// Nanoseconds, or microseconds in a `struct timeval`.
        pub fraction: i64,
    }

    const NANOSECONDS: u64 = 1_000_000_000;

    impl Timespec {
        /// From a number of nanoseconds.
        pub const fn from_nanoseconds(total: u64) -> Timespec {
            Timespec { seconds: (total / NANOSECONDS) as i64, fraction: (total % NANOSECONDS) as i64 }
        }

        /// As a number of nanoseconds; `None` if it is not a valid span of time.
        pub fn nanoseconds(self, per_second: u64) -> Option<u64> {
            let (seconds, fraction) = (u64::try_from(self.seconds).ok()?, u64::try_from(self.fraction).ok()?);
            if fraction >= per_second {
                return None;
            }
            Some(seconds.saturating_mul(NANOSECONDS).saturating_add(fraction * (NANOSECONDS / per_second)))
        }
    }

    /// Looks for the clock in the vDSO's image.
    pub fn find_clock(image: u64) {
        let name = &isa::page().clock_gettime;
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        // SAFETY: the kernel maps a whole ELF image there.
        if let Some(address) = unsafe { vdso::find(image, name) } {
            VDSO_CLOCK.store(address, Ordering::Relaxed);
        }
    }

    /// `clock_gettime`.
    ///
    /// # Safety
    /// `time` is the address of a `Timespec`, or the call fails as it should.
    pub unsafe fn read_clock(clock: u64, time: u64) -> i64 {
        // SAFETY: by the contract above.
        let result = unsafe { read_host_clock(clock, time) };
        let ahead = AHEAD.load(Ordering::Relaxed);
        if ahead != 0 && result == 0 && runs_from_start(clock) {
            // SAFETY: the kernel has written it.
            let time = unsafe { &mut *(time as *mut Timespec) };
            let host = time.nanoseconds(NANOSECONDS).unwrap_or(0);
            *time = Timespec::from_nanoseconds(host.saturating_add_signed(ahead));
        }
        result
    }

    /// A clock of the machine's.
    ///
    /// # Safety
    /// That of [`read_clock`].
    unsafe fn read_host_clock(clock: u64, time: u64) -> i64 {
        let function = VDSO_CLOCK.load(Ordering::Relaxed);
        if function != 0 {
            // SAFETY: the address is that of the vDSO's function of this signature.
            let result = unsafe {
                let function: unsafe extern "C" fn(u64, u64) -> i64 = core::mem::transmute(function as *const ());
                function(clock, time) as i32
            };
            if result == 0 {
                return 0;
            }
        }
        // SAFETY: by the contract above; the kernel checks the address.
        unsafe { kernel::call(CLOCK_GETTIME, [clock, time]) }
    }

    /// The time of a clock.
    pub fn now(clock: u64) -> Timespec {
        let mut time = Timespec::default();
        // SAFETY: the address is that of a Timespec.
        unsafe { read_clock(clock, &raw mut time as u64) };
        time
    }

    /// Nanoseconds of the clock by which deadlines are kept.
    pub fn monotonic() -> u64 {
        now(CLOCK_MONOTONIC).nanoseconds(NANOSECONDS).unwrap_or(0)
    }

    /// Nanoseconds since then by that clock; 0 where this processor's is behind the one that told the time, as processors of a virtual machine may be.
    pub fn since(earlier: u64) -> u64 {
        monotonic().saturating_sub(earlier)
    }
}
