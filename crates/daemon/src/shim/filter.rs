//! The system calls that a node refuses to the programs on it, whatever rights they have: those by which a machine is administered, and those by which one process reaches into
//! others. docs/security.md has the list. The rules are compiled by `seccompiler`; what is put before them refuses calls of other ABIs.
//!
//! A call fails as it would on a machine where it takes rights that one does not have (`EPERM`), or as if the kernel did not have it (`ENOSYS`): that is what `qemu-user` says of the calls
//! that it does not know, and programs are to see the same on all ISAs.

use crate::error::{NodeError, Result};
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};
use std::collections::BTreeMap;
use std::io;

/// Refused with `EPERM`, whatever the arguments.
const NOT_PERMITTED: &[i64] = &[
    // Mounts.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    // Namespaces.
    libc::SYS_setns,
    // The clock.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    // Past the permissions of the directories that a file is in.
    libc::SYS_open_by_handle_at,
    // Other processes.
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
];

/// Refused with `ENOSYS`.
const NOT_THERE: &[i64] = &[
    // Mounts and file systems.
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_quotactl,
    QUOTACTL_FD,
    libc::SYS_fanotify_init,
    // The kernel.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Keys, which belong to users, and other processes.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    // Its flags are in memory, where no filter sees them.
    libc::SYS_clone3,
];

/// Not in `libc` for all ISAs, on which it is the same.
const QUOTACTL_FD: i64 = 443;

/// Those of x86-64 that other ISAs do not have (`modify_ldt`, `iopl`, `ioperm` and `uselib`), and `kexec_file_load`, which is not in `libc` for all.
const NOT_THERE_ON_X86_64: &[i64] = &[154, 172, 173, 134, 320];
/// `kexec_file_load` on the ISAs with the generic table.
const NOT_THERE_ON_OTHERS: &[i64] = &[294];

/// Each makes a namespace (`clone`, `unshare`).
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// To put characters into a terminal's input (`TIOCSTI`), and what virtual consoles have beyond that (`TIOCLINUX`).
const TERMINALS: [u64; 2] = [0x5412, 0x541c];

/// Families of sockets that programs may have.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// The personality that programs have, and the question which one that is.
const PERSONALITIES: [u64; 2] = [0, 0xffff_ffff];

/// Calls of the x32 ABI have this in their numbers.
const X32: u32 = 0x4000_0000;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;
type Compiled<T> = std::result::Result<T, BackendError>;

/// System calls that are refused.
#[derive(Debug)]
pub(super) struct Filter {
    /// One for each error.
    programs: [BpfProgram; 3],
}

impl Filter {
    /// For programs on this machine, of any ISA: an emulator makes the machine's own calls.
    pub(super) fn new() -> Result<Filter> {
        let compile = || Filter::of(TargetArch::try_from(std::env::consts::ARCH)?);
        compile().map_err(|error| NodeError::Invalid(format!("compiling the filter of system calls: {error}")))
    }

    fn of(architecture: TargetArch) -> Compiled<Filter> {
        let always = |&number: &i64| (number, vec![]);
        let mut not_permitted: Rules = NOT_PERMITTED.iter().map(always).collect();
        let orders = TERMINALS.map(|order| all([condition(1, SeccompCmpOp::Eq, order)]));
        not_permitted.extend([
            (libc::SYS_clone, any_bit(&NAMESPACES)?),
            (libc::SYS_unshare, [any_bit(&NAMESPACES)?, any_bit(&[libc::CLONE_NEWTIME])?].concat()),
            (libc::SYS_ioctl, orders.into_iter().collect::<Compiled<_>>()?),
            (libc::SYS_personality, vec![none_of(&PERSONALITIES)?]),
        ]);
        let mut not_there: Rules = NOT_THERE.iter().map(always).collect();
        not_there.extend(match architecture {
            TargetArch::x86_64 => NOT_THERE_ON_X86_64.iter().map(always),
            TargetArch::aarch64 | TargetArch::riscv64 => NOT_THERE_ON_OTHERS.iter().map(always),
        });
        let families = FAMILIES.map(|family| family.cast_unsigned().into());
        let not_supported = Rules::from([
            (libc::SYS_socket, vec![none_of(&families)?]),
            (libc::SYS_socketpair, vec![none_of(&families)?]),
        ]);
        let compile = |rules, error| refuse(rules, error, architecture);
        Ok(Filter {
            programs: [
                compile(not_permitted, libc::EPERM)?,
                compile(not_there, libc::ENOSYS)?,
                compile(not_supported, libc::EAFNOSUPPORT)?,
            ],
        })
    }

    /// Has them refused to this process and all that it starts. Async-signal-safe, unless it fails.
    ///
    /// # Errors
    /// If the kernel does not have such filters.
    pub(super) fn install(&self) -> io::Result<()> {
        self.programs.iter().try_for_each(|program| {
            seccompiler::apply_filter(program).map_err(|error| match error {
                Error::Prctl(error) | Error::Seccomp(error) => error,
                // Nothing else is said of one that is not empty, for one thread.
                _ => io::ErrorKind::InvalidInput.into(),
            })
        })
    }
}

/// A program that refuses calls by these rules.
fn refuse(rules: Rules, error: i32, architecture: TargetArch) -> Compiled<BpfProgram> {
    let refused = SeccompAction::Errno(error.cast_unsigned());
    let compiled = BpfProgram::try_from(SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture)?)?;
    let absent = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    let instruction = |code: u32, if_not: u8, k| sock_filter { code: code as u16, jt: 0, jf: if_not, k };
    // Offset 0 is the number's.
    let mut program = vec![
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 1, X32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, absent),
    ];
    // `seccompiler` ends who makes calls of another architecture (i386's, on x86-64), and nobody else here.
    program.extend(compiled.into_iter().map(|instruction| match instruction.k {
        libc::SECCOMP_RET_KILL_PROCESS if instruction.code == (libc::BPF_RET | libc::BPF_K) as u16 => {
            sock_filter { k: absent, ..instruction }
        }
        _ => instruction,
    }));
    Ok(program)
}

/// Of an argument, as a number of 32 bits.
fn condition(argument: u8, comparison: SeccompCmpOp, value: u64) -> Compiled<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, comparison, value)
}

fn all<const N: usize>(conditions: [Compiled<SeccompCondition>; N]) -> Compiled<SeccompRule> {
    SeccompRule::new(conditions.into_iter().collect::<Compiled<_>>()?)
}

/// The first argument has one of these bits.
fn any_bit(bits: &[i32]) -> Compiled<Vec<SeccompRule>> {
    let has = |bit: &i32| {
        let bit = bit.cast_unsigned().into();
        all([condition(0, SeccompCmpOp::MaskedEq(bit), bit)])
    };
    bits.iter().map(has).collect()
}

/// The first argument is none of these.
fn none_of(values: &[u64]) -> Compiled<SeccompRule> {
    let differs = |&value: &u64| condition(0, SeccompCmpOp::Ne, value);
    SeccompRule::new(values.iter().map(differs).collect::<Compiled<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel makes of a call, by the rules of classic BPF that such programs use.
    fn judge(program: &BpfProgram, architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = [number.to_le_bytes(), architecture.to_le_bytes(), [0; 4], [0; 4]].concat();
        data.extend(arguments.iter().flat_map(|argument| argument.to_le_bytes()));
        let (mut at, mut accumulator) = (0, 0_u32);
        loop {
            let sock_filter { code, jt, jf, k } = program[at].clone();
            at += 1;
            let jump = |taken| usize::from(if taken { jt } else { jf });
            match u32::from(code) {
                0x20 => accumulator = u32::from_le_bytes(data[k as usize..][..4].try_into().unwrap()),
                0x54 => accumulator &= k,
                0x05 => at += k as usize,
                0x15 => at += jump(accumulator == k),
                0x25 => at += jump(accumulator > k),
                0x35 => at += jump(accumulator >= k),
                0x06 => return k,
                other => panic!("an instruction of another kind: {other:#x}"),
            }
        }
    }

    /// The error, or 0.
    fn error(filter: &Filter, architecture: u32, number: i64, arguments: [u64; 6]) -> i32 {
        let judged = |program| judge(program, architecture, u32::try_from(number).unwrap(), arguments);
        // The kernel takes what is more severe; of one kind, that of the program that was installed last.
        let refused = filter.programs.iter().rev().map(judged).find(|&action| action != libc::SECCOMP_RET_ALLOW);
        let refused = refused.unwrap_or(libc::SECCOMP_RET_ERRNO);
        assert_eq!(refused & 0xffff_0000, libc::SECCOMP_RET_ERRNO, "{refused:#x}");
        i32::try_from(refused & 0xffff).unwrap()
    }

    const X86_64: u32 = 0xc000_003e;
    const I386: u32 = 0x4000_0003;
    const AARCH64: u32 = 0xc000_00b7;

    #[test]
    fn calls_of_other_abis_are_not_there() {
        let filter = Filter::of(TargetArch::x86_64).unwrap();
        for number in 0..1000 {
            assert_eq!(error(&filter, I386, number, [0; 6]), libc::ENOSYS);
            assert_eq!(error(&filter, AARCH64, number, [0; 6]), libc::ENOSYS);
            assert_eq!(error(&filter, X86_64, number | i64::from(X32), [0; 6]), libc::ENOSYS);
        }
        let filter = Filter::of(TargetArch::aarch64).unwrap();
        assert_eq!(error(&filter, AARCH64, 400, [0; 6]), 0);
        assert_eq!(error(&filter, I386, 400, [0; 6]), libc::ENOSYS);
    }

    #[test]
    fn arguments_decide_where_calls_have_other_uses() {
        let filter = Filter::of(TargetArch::x86_64).unwrap();
        let first = |number, argument: u64| error(&filter, X86_64, number, [argument, 0, 0, 0, 0, 0]);
        let upper = 7 << 32;
        assert_eq!(first(libc::SYS_clone, 17), 0);
        assert_eq!(first(libc::SYS_clone, libc::CLONE_VM as u64 | libc::CLONE_THREAD as u64 | upper), 0);
        assert_eq!(first(libc::SYS_clone, libc::CLONE_NEWUSER as u64 | 17), libc::EPERM);
        assert_eq!(first(libc::SYS_clone, libc::CLONE_NEWNET as u64 | upper), libc::EPERM);
        assert_eq!(first(libc::SYS_unshare, libc::CLONE_FILES as u64), 0);
        assert_eq!(first(libc::SYS_unshare, libc::CLONE_NEWTIME as u64), libc::EPERM);
        assert_eq!(first(libc::SYS_personality, 0xffff_ffff), 0);
        assert_eq!(first(libc::SYS_personality, 0), 0);
        assert_eq!(first(libc::SYS_personality, 0x0004_0000), libc::EPERM);
        for call in [libc::SYS_socket, libc::SYS_socketpair] {
            for family in 0..50 {
                let error = first(call, family | upper);
                assert_eq!(error == 0, [1, 2, 10, 16].contains(&family), "family {family}: {error}");
            }
        }
        let order = |order: u64| error(&filter, X86_64, libc::SYS_ioctl, [0, order, 0, 0, 0, 0]);
        assert_eq!(order(0x5401), 0);
        assert_eq!(order(0x5412 | upper), libc::EPERM);
        assert_eq!(error(&filter, X86_64, libc::SYS_reboot, [0; 6]), libc::EPERM);
        assert_eq!(error(&filter, X86_64, libc::SYS_bpf, [0; 6]), libc::ENOSYS);
        assert_eq!(error(&filter, X86_64, 154, [0; 6]), libc::ENOSYS);
        assert_eq!(error(&filter, X86_64, libc::SYS_getppid, [0; 6]), 0);
    }
}
