//! What the library leaves out of files: numbers that are the home's (`st_ino`), and `.` and `..` in directories.
//!
//! By what the library calls a file, the program's kernel asks for it, and by that alone (`nodeid`); so that stays the library's, which takes care that no two
//! files have it at a time.

use fuse_backend_rs::abi::fuse_abi::{CreateIn, ROOT_ID, stat64};
use fuse_backend_rs::api::filesystem::{
    Context, DirEntry, Entry, FileSystem, FsOptions, GetxattrReply, ListxattrReply, OpenOptions, SetattrValid,
    ZeroCopyReader, ZeroCopyWriter,
};
use fuse_backend_rs::passthrough::{Config, PassthroughFs};
use std::ffi::CStr;
use std::io::Result;
use std::sync::OnceLock;
use std::time::Duration;

/// Where to go on after `.` and after `..`: positions that file systems do not give (ext4's are hashes of 31 bits and numbers of 32, and the end).
const AFTER: [u64; 2] = [0x7fff_ffff_0000_0001, 0x7fff_ffff_0000_0002];
const DOTS: [&CStr; 2] = [c".", c".."];
const DT_DIR: u32 = libc::DT_DIR as u32;

type Node = u64;
type Handle = u64;

/// The files from a directory on.
pub(crate) struct Files {
    files: PassthroughFs,
    options: FsOptions,
    /// Where the directory is, from its first use on: until then nobody is kept from unmounting it.
    device: OnceLock<u64>,
}

impl Files {
    /// `options` are those that are asked of the program's kernel, of those that it has.
    pub(crate) fn new(config: Config, options: FsOptions) -> Result<Files> {
        Ok(Files { files: PassthroughFs::new(config)?, options, device: OnceLock::new() })
    }

    /// The library's, with its directory opened.
    pub(crate) fn opened(&self) -> Result<&PassthroughFs> {
        if self.device.get().is_none() {
            // If another thread does so at the same time, it is opened twice.
            self.files.import()?;
            let (root, _) = self.files.getattr(&Context::new(), ROOT_ID, None)?;
            let _ = self.device.set(root.st_dev);
        }
        Ok(&self.files)
    }

    /// The program sees all these files on one device. So the numbers of those that are not on the directory's own are made others than all of its, which differ
    /// in their low bits, by Fibonacci hashing: or roots of file systems, which have the same number all, would be below themselves.
    fn number(&self, device: u64, number: u64) -> u64 {
        let own = self.device.get().copied().unwrap_or(device);
        number ^ (device ^ own).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn numbered(&self, mut status: stat64) -> stat64 {
        status.st_ino = self.number(status.st_dev, status.st_ino);
        status
    }

    fn entry(&self, entry: Entry) -> Entry {
        Entry { attr: self.numbered(entry.attr), ..entry }
    }

    /// Names in a directory from a position on, each with its file, which whoever takes it is to forget if `is_kept` does not hold.
    fn list(
        &self,
        ctx: &Context,
        (node, handle): (Node, Handle),
        size: u32,
        mut offset: u64,
        is_kept: bool,
        add: &mut dyn FnMut(DirEntry<'_>, Entry) -> Result<usize>,
    ) -> Result<()> {
        let first = AFTER.iter().position(|after| *after == offset).map(|index| index + 1);
        if let Some(first) = first.or((offset == 0).then_some(0)) {
            offset = 0;
            let files = self.opened()?;
            for (index, name) in DOTS.iter().enumerate().skip(first) {
                let found = files.lookup(ctx, node, name)?;
                files.forget(ctx, found.inode, 1);
                let ino = self.numbered(found.attr).st_ino;
                let entry = DirEntry { ino, offset: AFTER[index], type_: DT_DIR, name: name.to_bytes() };
                // The kernel knows both.
                if add(entry, Entry::default())? == 0 {
                    return Ok(());
                }
            }
        }
        self.opened()?.readdirplus(ctx, node, handle, size, offset, &mut |found, entry| {
            let entry = self.entry(entry);
            let added = add(DirEntry { ino: entry.attr.st_ino, ..found }, entry);
            // What there is no room for the library forgets by itself.
            if !is_kept && !matches!(added, Ok(0)) || added.is_err() {
                self.files.forget(ctx, entry.inode, 1);
            }
            added
        })
    }
}

/// Hands methods of [`FileSystem`] on.
macro_rules! hand_on {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {$(
        fn $name(&self, ctx: &Context, $($argument: $kind),*) -> $result {
            self.opened()?.$name(ctx, $($argument),*)
        }
    )*};
}

impl FileSystem for Files {
    type Inode = Node;
    type Handle = Handle;

    fn init(&self, capable: FsOptions) -> Result<FsOptions> {
        let options = self.options & capable;
        self.files.init(options)?;
        Ok(options)
    }

    fn destroy(&self) {
        self.files.destroy();
    }

    fn lookup(&self, ctx: &Context, parent: Node, name: &CStr) -> Result<Entry> {
        self.opened()?.lookup(ctx, parent, name).map(|entry| self.entry(entry))
    }

    fn forget(&self, ctx: &Context, node: Node, count: u64) {
        self.files.forget(ctx, node, count);
    }

    fn batch_forget(&self, ctx: &Context, nodes: Vec<(Node, u64)>) {
        self.files.batch_forget(ctx, nodes);
    }

    fn getattr(&self, ctx: &Context, node: Node, handle: Option<Handle>) -> Result<(stat64, Duration)> {
        let (status, valid) = self.opened()?.getattr(ctx, node, handle)?;
        Ok((self.numbered(status), valid))
    }

    fn setattr(
        &self,
        ctx: &Context,
        node: Node,
        to: stat64,
        handle: Option<Handle>,
        what: SetattrValid,
    ) -> Result<(stat64, Duration)> {
        let (status, valid) = self.opened()?.setattr(ctx, node, to, handle, what)?;
        Ok((self.numbered(status), valid))
    }

    fn symlink(&self, ctx: &Context, to: &CStr, parent: Node, name: &CStr) -> Result<Entry> {
        self.opened()?.symlink(ctx, to, parent, name).map(|entry| self.entry(entry))
    }

    fn mknod(&self, ctx: &Context, parent: Node, name: &CStr, mode: u32, device: u32, umask: u32) -> Result<Entry> {
        self.opened()?.mknod(ctx, parent, name, mode, device, umask).map(|entry| self.entry(entry))
    }

    fn mkdir(&self, ctx: &Context, parent: Node, name: &CStr, mode: u32, umask: u32) -> Result<Entry> {
        self.opened()?.mkdir(ctx, parent, name, mode, umask).map(|entry| self.entry(entry))
    }

    fn link(&self, ctx: &Context, node: Node, parent: Node, name: &CStr) -> Result<Entry> {
        self.opened()?.link(ctx, node, parent, name).map(|entry| self.entry(entry))
    }

    fn create(
        &self,
        ctx: &Context,
        parent: Node,
        name: &CStr,
        how: CreateIn,
    ) -> Result<(Entry, Option<Handle>, OpenOptions, Option<u32>)> {
        let (entry, handle, options, backing) = self.opened()?.create(ctx, parent, name, how)?;
        Ok((self.entry(entry), handle, options, backing))
    }

    fn readdir(
        &self,
        ctx: &Context,
        node: Node,
        handle: Handle,
        size: u32,
        offset: u64,
        add: &mut dyn FnMut(DirEntry<'_>) -> Result<usize>,
    ) -> Result<()> {
        self.list(ctx, (node, handle), size, offset, false, &mut |entry, _| add(entry))
    }

    fn readdirplus(
        &self,
        ctx: &Context,
        node: Node,
        handle: Handle,
        size: u32,
        offset: u64,
        add: &mut dyn FnMut(DirEntry<'_>, Entry) -> Result<usize>,
    ) -> Result<()> {
        self.list(ctx, (node, handle), size, offset, true, add)
    }

    hand_on! {
        fn readlink(node: Node) -> Result<Vec<u8>>;
        fn unlink(parent: Node, name: &CStr) -> Result<()>;
        fn rmdir(parent: Node, name: &CStr) -> Result<()>;
        fn rename(from: Node, old: &CStr, to: Node, new: &CStr, flags: u32) -> Result<()>;
        fn open(node: Node, flags: u32, fuse: u32) -> Result<(Option<Handle>, OpenOptions, Option<u32>)>;
        fn read(node: Node, handle: Handle, to: &mut dyn ZeroCopyWriter, size: u32, offset: u64, owner: Option<u64>, flags: u32) -> Result<usize>;
        fn write(node: Node, handle: Handle, from: &mut dyn ZeroCopyReader, size: u32, offset: u64, owner: Option<u64>, delayed: bool, flags: u32, fuse: u32) -> Result<usize>;
        fn flush(node: Node, handle: Handle, owner: u64) -> Result<()>;
        fn fsync(node: Node, data: bool, handle: Handle) -> Result<()>;
        fn fallocate(node: Node, handle: Handle, mode: u32, offset: u64, length: u64) -> Result<()>;
        fn release(node: Node, flags: u32, handle: Handle, flush: bool, unlock: bool, owner: Option<u64>) -> Result<()>;
        fn statfs(node: Node) -> Result<libc::statvfs64>;
        fn setxattr(node: Node, name: &CStr, value: &[u8], flags: u32) -> Result<()>;
        fn getxattr(node: Node, name: &CStr, size: u32) -> Result<GetxattrReply>;
        fn listxattr(node: Node, size: u32) -> Result<ListxattrReply>;
        fn removexattr(node: Node, name: &CStr) -> Result<()>;
        fn opendir(node: Node, flags: u32) -> Result<(Option<Handle>, OpenOptions)>;
        fn fsyncdir(node: Node, data: bool, handle: Handle) -> Result<()>;
        fn releasedir(node: Node, flags: u32, handle: Handle) -> Result<()>;
        fn access(node: Node, mask: u32) -> Result<()>;
        fn lseek(node: Node, handle: Handle, offset: u64, whence: u32) -> Result<u64>;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::ffi::CString;
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    fn files(root: &Path) -> Files {
        let config = Config { root_dir: root.to_str().unwrap().to_owned(), do_import: false, ..Config::default() };
        let files = Files::new(config, FsOptions::DO_READDIRPLUS).unwrap();
        files.init(FsOptions::all()).unwrap();
        files
    }

    fn find(files: &Files, parent: Node, name: &str) -> Result<(Node, u64)> {
        let entry = files.lookup(&Context::new(), parent, &CString::new(name).unwrap())?;
        let (status, _) = files.getattr(&Context::new(), entry.inode, None)?;
        assert_eq!(status.st_ino, entry.attr.st_ino);
        Ok((entry.inode, status.st_ino))
    }

    /// The numbers of what is in a directory, of which `many` names are taken at a time.
    fn list(files: &Files, node: Node, many: usize, with_files: bool) -> BTreeMap<String, u64> {
        let ctx = Context::new();
        let (handle, _) = files.opendir(&ctx, node, 0).unwrap();
        let (mut found, mut offset) = (BTreeMap::new(), 0);
        loop {
            let (mut taken, from) = (0, offset);
            let mut take = |entry: DirEntry<'_>| {
                if taken == many {
                    return Ok(0);
                }
                taken += 1;
                offset = entry.offset;
                let name = String::from_utf8(entry.name.to_vec()).unwrap();
                assert_eq!(found.insert(name, entry.ino), None, "told twice");
                Ok(1)
            };
            let listed = if with_files {
                files.readdirplus(&ctx, node, handle.unwrap(), 4096, from, &mut |name, _| take(name))
            } else {
                files.readdir(&ctx, node, handle.unwrap(), 4096, from, &mut take)
            };
            listed.unwrap();
            if taken == 0 {
                return found;
            }
        }
    }

    #[test]
    fn numbers_are_those_of_the_files() {
        let root = tempfile::tempdir().unwrap();
        let number = |name: &str| fs::symlink_metadata(root.path().join(name)).unwrap().ino();
        fs::create_dir_all(root.path().join("directory/inner")).unwrap();
        for name in ["one", "other"] {
            fs::write(root.path().join("directory").join(name), name).unwrap();
        }
        fs::hard_link(root.path().join("directory/one"), root.path().join("directory/linked")).unwrap();
        let files = files(root.path());
        let (directory, found) = find(&files, ROOT_ID, "directory").unwrap();
        assert_eq!(found, number("directory"));
        let expected = [".", "..", "inner", "linked", "one", "other"];
        let expected: BTreeMap<String, u64> =
            expected.map(|name| (name.to_owned(), number(&format!("directory/{name}")))).into();
        for (many, with_files) in [(1, false), (2, true), (3, false), (100, true)] {
            assert_eq!(list(&files, directory, many, with_files), expected);
        }
        let [one, linked, other] = ["one", "linked", "other"].map(|name| find(&files, directory, name).unwrap());
        assert_eq!(one, linked);
        assert_ne!(one, other);
        // One that is made again is another file, though it may get the number of the one that it is instead of.
        files.unlink(&Context::new(), directory, c"other").unwrap();
        fs::write(root.path().join("directory/other"), "again").unwrap();
        let again = find(&files, directory, "other").unwrap();
        assert_eq!(again.1, number("directory/other"));
        assert_ne!(again.0, other.0);
        assert_eq!(files.getattr(&Context::new(), other.0, None).unwrap().0.st_nlink, 0);
    }

    #[test]
    fn roots_of_other_file_systems_are_not_below_themselves() {
        let files = files(Path::new("/"));
        let mut numbers: Vec<u64> = ["proc", "sys", "dev"].map(|name| find(&files, ROOT_ID, name).unwrap().1).into();
        assert_eq!(numbers, ["proc", "sys", "dev"].map(|name| find(&files, ROOT_ID, name).unwrap().1));
        numbers.push(find(&files, ROOT_ID, ".").unwrap().1);
        numbers.sort();
        numbers.dedup();
        assert_eq!(numbers.len(), 4);
    }
}
