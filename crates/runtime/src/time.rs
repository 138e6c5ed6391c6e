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
    use core::sync::atomic::Ordering;

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
}
