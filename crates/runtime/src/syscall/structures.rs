//! Structures of which Linux x86-64 has another layout than the other ISAs, as tables of fields.

/// A field: offset and size in the x86-64 structure, offset and size in the generic one. Integers, unsigned.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    program: (u8, u8),
    host: (u8, u8),
}

const fn field(program: (u8, u8), host: (u8, u8)) -> Field {
    Field { program, host }
}

const fn same(offset: u8, size: u8) -> Field {
    field((offset, size), (offset, size))
}

/// `struct stat`: 144 bytes on x86-64, 128 elsewhere.
pub static STAT: &[Field] = &[
    same(0, 8),              // st_dev
    same(8, 8),              // st_ino
    field((16, 8), (20, 4)), // st_nlink
    field((24, 4), (16, 4)), // st_mode
    field((28, 4), (24, 4)), // st_uid
    field((32, 4), (28, 4)), // st_gid
    field((40, 8), (32, 8)), // st_rdev
    same(48, 8),             // st_size
    field((56, 8), (56, 4)), // st_blksize
    same(64, 8),             // st_blocks
    same(72, 8),             // st_atim
    same(80, 8),
    same(88, 8), // st_mtim
    same(96, 8),
    same(104, 8), // st_ctim
    same(112, 8),
];
/// Bytes of the program's `struct stat`.
pub const STAT_SIZE: usize = 144;

/// `struct semid64_ds`: 104 bytes on x86-64, 88 elsewhere.
pub static SEMID: &[Field] = &[
    same(0, 8), // sem_perm
    same(8, 8),
    same(16, 8),
    same(24, 8),
    same(32, 8),
    same(40, 8),
    same(48, 8),             // sem_otime
    field((64, 8), (56, 8)), // sem_ctime
    field((80, 8), (64, 8)), // sem_nsems
];
/// Bytes of the program's `struct semid64_ds`.
pub const SEMID_SIZE: usize = 104;

/// `struct epoll_event`: packed on x86-64.
pub static EPOLL_EVENT: &[Field] = &[same(0, 4), field((4, 8), (8, 8))];
/// Bytes of the program's `struct epoll_event`.
pub const EPOLL_EVENT_SIZE: usize = 12;
/// Bytes of the host's on ISAs other than x86-64.
pub const HOST_EPOLL_EVENT_SIZE: usize = 16;

/// `O_DIRECTORY`, `O_NOFOLLOW`, `O_DIRECT`, `O_LARGEFILE` as programs know them.
pub const OPEN_FLAGS: [u64; 4] = [0x10000, 0x20000, 0x4000, 0x8000];

/// Replaces those of the flags `from` that are set by those of `to` at the same places.
pub fn exchange_flags(flags: u64, from: &[u64; 4], to: &[u64; 4]) -> u64 {
    let rest = from.iter().fold(flags, |rest, flag| rest & !flag);
    from.iter().zip(to).filter(|pair| flags & pair.0 != 0).fold(rest, |all, pair| all | pair.1)
}

fn copy(from: &[u8], (start, size): (u8, u8), to: &mut [u8], (to_start, to_size): (u8, u8)) {
    let mut value = [0; 8];
    let field = from.get(usize::from(start)..).and_then(|rest| rest.get(..usize::from(size)));
    for (to, &from) in value.iter_mut().zip(field.unwrap_or_default()) {
        *to = from;
    }
    let field = to.get_mut(usize::from(to_start)..).and_then(|rest| rest.get_mut(..usize::from(to_size)));
    for (to, &from) in field.unwrap_or_default().iter_mut().zip(&value) {
        *to = from;
    }
}

/// Fills the program's structure from the host's; what the host does not have becomes zero.
pub fn to_program(fields: &[Field], host: &[u8], program: &mut [u8]) {
    program.fill(0);
    for field in fields {
        copy(host, field.host, program, field.program);
    }
}

/// Fills the host's structure from the program's.
pub fn to_host(fields: &[Field], program: &[u8], host: &mut [u8]) {
    host.fill(0);
    for field in fields {
        copy(program, field.program, host, field.host);
    }
}

/// Turns `struct linux_dirent64` records, as the host gives them, into `struct linux_dirent` in place. They are equally long: the type
/// moves from before the name to the last byte.
pub fn to_old_directory_entries(records: &mut [u8]) {
    const TYPE: usize = 18;
    let mut rest = records;
    loop {
        let Some(&[low, high]) = rest.get(16..18) else { return };
        let length = usize::from(u16::from_le_bytes([low, high]));
        if length <= TYPE + 1 || length > rest.len() {
            return;
        }
        let (record, others) = rest.split_at_mut(length);
        let kind = record[TYPE];
        record.copy_within(TYPE + 1.., TYPE);
        record[length - 1] = kind;
        rest = others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_fields_go_to_their_places() {
        let mut host = [0u8; 128];
        host[16..20].copy_from_slice(&0o100644u32.to_le_bytes());
        host[20..24].copy_from_slice(&3u32.to_le_bytes());
        host[48..56].copy_from_slice(&1234u64.to_le_bytes());
        host[56..60].copy_from_slice(&4096u32.to_le_bytes());
        host[60..64].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut program = [0xffu8; STAT_SIZE];
        to_program(STAT, &host, &mut program);
        assert_eq!(program[24..28], 0o100644u32.to_le_bytes());
        assert_eq!(program[16..24], 3u64.to_le_bytes());
        assert_eq!(program[48..56], 1234u64.to_le_bytes());
        assert_eq!(program[56..64], 4096u64.to_le_bytes());
        assert_eq!(program[120..], [0; 24]);
    }

    #[test]
    fn structures_survive_the_way_there_and_back() {
        for (fields, size, host_size) in [(STAT, STAT_SIZE, 128), (SEMID, SEMID_SIZE, 88), (EPOLL_EVENT, 12, 16)] {
            let mut host: Vec<u8> = vec![0; host_size];
            for field in fields {
                for index in 0..field.host.1.min(field.program.1) {
                    host[usize::from(field.host.0 + index)] = field.host.0 + index + 1;
                }
            }
            let (mut program, mut back) = (vec![0; size], vec![0; host_size]);
            to_program(fields, &host, &mut program);
            to_host(fields, &program, &mut back);
            assert_eq!(back, host);
        }
    }

    #[test]
    fn flags_that_use_one_another_s_bits_are_exchanged() {
        // AArch64's.
        let host = [0x4000, 0x8000, 0x10000, 0x20000];
        let all = OPEN_FLAGS.iter().sum::<u64>() | 0x80042;
        assert_eq!(exchange_flags(0x10002, &OPEN_FLAGS, &host), 0x4002);
        assert_eq!(exchange_flags(0x4000, &OPEN_FLAGS, &host), 0x10000);
        assert_eq!(exchange_flags(exchange_flags(all, &OPEN_FLAGS, &host), &host, &OPEN_FLAGS), all);
    }

    #[test]
    fn old_directory_entries_have_the_type_at_the_end() {
        let mut records = vec![0u8; 24 + 32];
        for (start, length, name, kind) in [(0, 24u16, &b"abc"[..], 4), (24, 32, b"longer name", 8)] {
            records[start + 16..start + 18].copy_from_slice(&length.to_le_bytes());
            records[start + 18] = kind;
            records[start + 19..start + 19 + name.len()].copy_from_slice(name);
        }
        to_old_directory_entries(&mut records);
        assert_eq!((&records[18..22], records[23]), (&b"abc\0"[..], 4));
        assert_eq!((&records[42..54], records[55]), (&b"longer name\0"[..], 8));
    }
}
