"""A machine inside the emulator Bochs: Debian's packages unpacked, an image of kernel, busybox and programs, a run."""

import os
import re
import select
import shutil
import stat
import subprocess
import time

TOOLS = ("bochs", "bochs-term", "bochsbios", "vgabios", "busybox-static", "isolinux", "syslinux-common", "xorriso")
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = "/lib64/ld-linux-x86-64.so.2"
ENDS = "emulated: ends"
# The second's length inside: so many instructions. About what Bochs does, so that deadlines mean what they do outside.
INSTRUCTIONS_A_SECOND = 50_000_000

# What is not needed costs minutes here: no mitigations, no calibration of what is given, no message of the kernel's.
KERNEL_LINE = ("console=ttyS0,115200 quiet nopku noxsaves clearcpuid=321,323 init_on_alloc=0 cryptomgr.notests no_timer_check nokaslr mitigations=off random.trust_cpu=on tsc=reliable "
               "lpj=200000 panic=-1")

BOCHSRC = """\
display_library: term
romimage: file={packages}/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file={packages}/usr/share/vgabios/vgabios.bin
megs: 1024
cpu: model={model}, count=1, ips={ips}, reset_on_triple_fault=0
clock: sync=none
ata0-master: type=cdrom, path={work}/boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={work}/serial
log: {work}/bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
sound: waveoutdrv=dummy
speaker: enabled=0
"""

INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs tmp /tmp
export LD_LIBRARY_PATH=/app HOME=/tmp PATH=/app:/bin GTEST_COLOR=no GTEST_BRIEF=0 OMP_NUM_THREADS=1
/bin/busybox grep -m1 'model name' /proc/cpuinfo
/bin/busybox grep -m1 flags /proc/cpuinfo
cd /tmp
{commands}
echo {ends}
/bin/busybox poweroff -f
"""


def _output(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def unpack_packages(folder):
    """The emulator, what makes an image, what they need and this machine lacks, and the kernel: once a folder."""
    if os.path.exists(os.path.join(folder, "complete")):
        return
    archives = os.path.join(folder, "archives")
    os.makedirs(archives, exist_ok=True)
    plan = _output("apt-get", "-s", "install", "--no-install-recommends", *TOOLS)
    lacking = re.findall(r"^Inst (\S+)", plan, re.M)
    kernel = re.search(r"Depends: (linux-image-\S+)", _output("apt-cache", "depends", "linux-image-cloud-amd64"))
    wanted = sorted({*TOOLS, *lacking, kernel.group(1)})
    subprocess.run(["apt-get", "-q", "download", *wanted], cwd=archives, check=True, stdout=subprocess.DEVNULL)
    for name in sorted(os.listdir(archives)):
        subprocess.run(["dpkg-deb", "-x", os.path.join(archives, name), folder], check=True)
    shutil.rmtree(archives)
    with open(os.path.join(folder, "complete"), "w", encoding="utf-8") as f:
        f.write("\n".join(wanted) + "\n")


def _environment(packages):
    libraries = os.path.join(packages, LIBRARIES)
    return {**os.environ, "LD_LIBRARY_PATH": libraries, "LTDL_LIBRARY_PATH": libraries + "/bochs/plugins"}


def _libraries_of(program):
    """Name as the loader looks for it -> file."""
    listed = _output("ldd", program)
    if "not found" in listed:
        raise SystemExit(f"{program}: {listed}")
    return dict(re.findall(r"^\s*(\S+) => (/\S+)", listed, re.M))


class Archive:
    """An initramfs: cpio of the kind "newc", which the kernel unpacks into memory."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.count = 0

    def _add(self, name, mode, content):
        self.count += 1
        encoded = name.encode() + b"\0"
        fields = (self.count, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        self.file.write(head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4))

    def folder(self, name):
        self._add(name, stat.S_IFDIR | 0o755, b"")

    def program(self, name, content):
        self._add(name, stat.S_IFREG | 0o755, content)

    def copy(self, name, path):
        with open(path, "rb") as f:
            self.program(name, f.read())

    def close(self):
        self._add("TRAILER!!!", 0, b"")
        self.file.close()


def _write_memory(path, packages, programs, commands, work):
    """Not compressed: reading it costs the emulated machine less than unpacking it."""
    archive = Archive(path)
    for name in ("bin", "proc", "sys", "dev", "tmp", "app", "lib64"):
        archive.folder(name)
    busybox = os.path.join(packages, "bin/busybox")
    archive.copy("bin/busybox", busybox)
    archive.copy("bin/sh", busybox)
    archive.copy(LOADER[1:], LOADER)
    libraries = {}
    for program in programs:
        stripped = os.path.join(work, "stripped")
        subprocess.run(["strip", "-o", stripped, program], check=True)
        archive.copy("app/" + os.path.basename(program), stripped)
        libraries.update(_libraries_of(program))
    for name, library in sorted(libraries.items()):
        archive.copy("app/" + name, library)
    archive.program("init", INIT.format(commands="\n".join(commands), ends=ENDS).encode())
    archive.close()


def make_image(packages, programs, commands, work):
    """boot.iso in `work`: its machine runs `commands`, shell lines, with `programs` on its path."""
    disc = os.path.join(work, "disc")
    os.makedirs(disc)
    _write_memory(os.path.join(disc, "memory"), packages, programs, commands, work)
    boot = os.path.join(packages, "boot")
    kernel = next(name for name in os.listdir(boot) if name.startswith("vmlinuz"))
    for source in (os.path.join(boot, kernel), os.path.join(packages, "usr/lib/ISOLINUX/isolinux.bin"),
                   os.path.join(packages, "usr/lib/syslinux/modules/bios/ldlinux.c32")):
        shutil.copy(source, disc)
    with open(os.path.join(disc, "isolinux.cfg"), "w", encoding="utf-8") as f:
        f.write(f"default linux\nlabel linux\n kernel /{kernel}\n append initrd=/memory {KERNEL_LINE}\n")
    subprocess.run([os.path.join(packages, "usr/bin/xorriso"), "-as", "mkisofs", "-quiet", "-l",
                    "-o", os.path.join(work, "boot.iso"), "-b", "isolinux.bin", "-c", "boot.cat", "-no-emul-boot",
                    "-boot-load-size", "4", "-boot-info-table", disc],
                   check=True, env=_environment(packages), stderr=subprocess.DEVNULL)
    shutil.rmtree(disc)


def _follow(child, path, deadline, show):
    """What the machine writes, to the end, which is ENDS, its death or the deadline."""
    text = ""
    while True:
        ended = child.poll() is not None or time.monotonic() > deadline
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace", newline="") as f:
                f.seek(len(text.encode()))
                new = f.read()
            show(new)
            text += new
        if ended or ENDS in text:
            return text.replace("\r", "")
        select.select([], [], [], 1)


def run(packages, model, work, seconds, show):
    """Boots boot.iso of `work` on a processor of `model` and returns what the machine wrote."""
    config, commands = os.path.join(work, "bochsrc"), os.path.join(work, "commands")
    with open(config, "w", encoding="utf-8") as f:
        f.write(BOCHSRC.format(packages=packages, model=model, work=work, ips=INSTRUCTIONS_A_SECOND))
    with open(commands, "w", encoding="utf-8") as f:
        f.write("c\n")  # Debian's Bochs has its debugger built in, which waits for a word
    child = subprocess.Popen([os.path.join(packages, "usr/bin/bochs-bin"), "-q", "-f", config, "-rc", commands],
                             env=_environment(packages), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    try:
        return _follow(child, os.path.join(work, "serial"), time.monotonic() + seconds, show)
    finally:
        child.kill()
        child.wait()
