//! A virtual machine that is a node: Debian's kernel for AArch64 under qemu's full-system emulator, and a file system in memory of our own with busybox, the modules that it
//! needs and `maized`.

use crate::arm64;
use crate::cluster::text;
use crate::network::Network;
use crate::toolchain::run;
use anyhow::{Context as _, Result, ensure};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Debian 12's kernel, which does not tell which pages a process changes, and one that does. Both grant userfaultfd.
pub const KERNELS: [&str; 2] = ["linux-image-cloud-arm64", "linux-image-6.12-cloud-arm64"];

/// What a kernel needs for its network and for files of other nodes, in the order in which it is loaded. What is built in has no file.
const MODULES: [&str; 9] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
    "fuse",
];

/// All extensions that qemu has, SVE among them; pointers are authenticated by a cheap function instead of the one that takes most of the time of an emulated kernel.
const PROCESSOR: &str = "max,pauth-impdef=on";

/// Where its node is.
const NODE: &str = "var/lib/maize";

/// A kernel for AArch64, as Debian delivers it.
pub struct Kernel {
    files: PathBuf,
}

impl Kernel {
    /// The newest kernel that a package stands for. `None`, with a message, where it, or something that a machine needs, cannot be had.
    ///
    /// # Errors
    /// If what was had is no kernel.
    pub fn find(package: &str) -> Result<Option<Kernel>> {
        if let Some(missing) = arm64::missing() {
            eprintln!("skipped: no {missing} here; scripts/setup --machines installs what virtual machines need");
            return Ok(None);
        }
        if !Path::new("/dev/net/tun").exists() {
            eprintln!("skipped: there is no /dev/net/tun for the network of a virtual machine");
            return Ok(None);
        }
        match arm64::package(package) {
            Ok(files) => Ok(Some(Kernel { files })),
            Err(error) => {
                eprintln!("skipped: the package {package} of arm64 cannot be had: {error:#}");
                Ok(None)
            }
        }
    }

    /// The file in `/boot` whose name begins so.
    fn in_boot(&self, begin: &str) -> Result<PathBuf> {
        let mut entries = self.files.join("boot").read_dir()?.filter_map(|entry| Some(entry.ok()?.path()));
        let found =
            entries.find(|path| path.file_name().is_some_and(|name| text(name.as_encoded_bytes()).starts_with(begin)));
        found.with_context(|| format!("no {begin}* in {}/boot", self.files.display()))
    }

    /// Whether it was built with an option.
    ///
    /// # Errors
    /// If its configuration is not there.
    pub fn has(&self, option: &str) -> Result<bool> {
        let configuration = fs::read_to_string(self.in_boot("config-")?)?;
        Ok(configuration.lines().any(|line| line == format!("{option}=y")))
    }

    /// Copies the modules there are to a directory; their names in order.
    fn copy_modules(&self, to: &Path) -> Result<Vec<&'static str>> {
        let mut copied = Vec::new();
        let found = run(Command::new("find").arg(self.files.join("lib/modules")).args(["-name", "*.ko*"]))?;
        for module in MODULES {
            let is_it =
                |line: &&str| line.rsplit('/').next().is_some_and(|name| name.split('.').next() == Some(module));
            let Some(path) = found.lines().find(is_it) else { continue };
            let file = to.join(format!("{module}.ko"));
            if path.ends_with(".xz") {
                let unpacked = Command::new("xz").args(["--decompress", "--stdout", path]).output()?;
                ensure!(unpacked.status.success(), "xz {path}: {}", text(&unpacked.stderr));
                fs::write(file, unpacked.stdout)?;
            } else {
                fs::copy(path, file)?;
            }
            copied.push(module);
        }
        Ok(copied)
    }
}

/// A machine that runs. It is turned off when the value is dropped.
pub struct Machine {
    emulator: Child,
    console: PathBuf,
}

impl Machine {
    /// Boots one in the place of a node of a network. `node` is the directory of that node, which it gets a copy of; `directories` are there as well, empty. `scratch` is for its files.
    ///
    /// # Errors
    /// If its parts cannot be put together, or the emulator cannot be run.
    pub fn boot(
        kernel: &Kernel,
        network: &Network,
        place: usize,
        node: &Path,
        directories: &[&Path],
        scratch: &Path,
    ) -> Result<Machine> {
        let root = scratch.join("root");
        for directory in ["bin", "dev", "modules", "proc", "run", "sys", "tmp", "var/lib"] {
            fs::create_dir_all(root.join(directory))?;
        }
        for directory in directories {
            fs::create_dir_all(root.join(directory.strip_prefix("/")?))?;
        }
        fs::copy(arm64::package("busybox-static")?.join("bin/busybox"), root.join("bin/busybox"))?;
        symlink("busybox", root.join("bin/sh"))?;
        fs::copy(arm64::daemon()?, root.join("bin/maized"))?;
        // With its modes.
        run(Command::new("cp").arg("-a").arg(node).arg(root.join(NODE)))?;
        let modules = kernel.copy_modules(&root.join("modules"))?;
        let init = root.join("init");
        fs::write(&init, init_script(&modules, &network.address(place)))?;
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
        let archive = scratch.join("initramfs");
        pack(&root, &archive)?;
        let console = scratch.join("console");
        let port = network.give_to_machine(place)?;
        let mut command = network.at_hub("qemu-system-aarch64");
        command.args(["-machine", "virt", "-accel", "tcg", "-cpu", PROCESSOR, "-smp", "2", "-m", "1024"]);
        command.args(["-nographic", "-nodefaults", "-no-reboot", "-append", "console=ttyAMA0 panic=-1 quiet"]);
        command.arg("-serial").arg(format!("file:{}", console.display()));
        command.arg("-kernel").arg(kernel.in_boot("vmlinuz-")?).arg("-initrd").arg(&archive);
        command.arg("-netdev").arg(format!("tap,id=network,ifname={port},script=no,downscript=no"));
        // Without a ROM to boot from.
        command.args(["-device", "virtio-net-pci,netdev=network,romfile="]);
        let emulator =
            command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("running qemu-system-aarch64")?;
        Ok(Machine { emulator, console })
    }

    /// What its kernel and its daemon have said.
    pub fn said(&self) -> String {
        fs::read(&self.console).map(|bytes| text(&bytes)).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.emulator.kill();
        let _ = self.emulator.wait();
    }
}

/// What its first process does.
fn init_script(modules: &[&str], address: &str) -> String {
    let modules = modules.join(" ");
    format!(
        "#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
for module in {modules}; do insmod /modules/$module.ko; done
ip link set lo up
ip address add {address}/24 dev eth0
ip link set eth0 up
uname -a
maized --dir /{NODE}
poweroff -f
"
    )
}

/// Makes an archive that a kernel unpacks (Documentation/driver-api/early-userspace/buffer-format.rst).
fn pack(root: &Path, archive: &Path) -> Result<()> {
    let names = run(Command::new("find").arg(".").current_dir(root))?;
    let mut cpio = Command::new("cpio");
    cpio.args(["--create", "--format=newc", "--quiet"]).current_dir(root);
    let mut packing = cpio.stdin(Stdio::piped()).stdout(File::create(archive)?).spawn().context("running cpio")?;
    packing.stdin.take().context("no input")?.write_all(names.as_bytes())?;
    let status = packing.wait()?;
    ensure!(status.success(), "cpio: {status}");
    Ok(())
}
