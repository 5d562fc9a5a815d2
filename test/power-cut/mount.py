"""Mounts a disk that forgets what was not synced: mount.py MOUNTPOINT SOURCE OPTIONS

SOURCE is a folder with what is on the disk at first. OPTIONS is JSON: granule; seed;
writeBack, the chance of a write to be followed by the write-back of a few granules of its file; and
lies, true for a disk that says that a write through the cache is durable when it is not. A first
line on standard output says that it is mounted. Commands come on standard input, one JSON object a
line, and each is answered with one line:

  {"cut": SHARE}     power is cut now: no call gets an answer from here on; a sync that is under way
                     is torn; of the rest that is not synced, a random SHARE survives
  {"save": FOLDER}   writes what survived to a folder, and ends

It also ends when it is unmounted. Nothing here knows what is stored.
"""

import errno
import functools
import json
import os
import stat
import subprocess
import sys
import threading
import time

import mfusepy

from volatile import Inode, Volatile

SPACE_BYTES = 64 << 30
BLOCK = 4096


class PowerCut(Exception):
    """The call that the cut overtakes."""


def call(method):
    """One call at a time. After the cut none returns: nobody learns of it who could still speak."""

    @functools.wraps(method)
    def answered(self, *arguments):
        with self.guard:
            try:
                if not self.dead:
                    return method(self, *arguments)
            except PowerCut:
                self.dead = True
        return threading.Event().wait()

    return answered


class Disk(mfusepy.Operations):
    use_ns = True

    def __init__(self, volatile, lies):
        self.volatile = volatile
        self.lies = lies
        self.guard = threading.RLock()
        self.handles = {}
        self.next_handle = 1
        self.dead = False
        # Set by the command, carried out by the next sync, or by itself when none comes.
        self.dying = threading.Event()
        self.report = {"torn": 0, "kept": 0}

    def init(self, path):
        print(json.dumps({"mounted": True}), flush=True)

    # -- paths -----------------------------------------------------------------------------------

    def _find(self, path):
        inode = self.volatile.root
        for name in path.split("/"):
            if name == "":
                continue
            if name not in inode.names:
                raise mfusepy.FuseOSError(errno.ENOENT)
            inode = inode.names[name]
        return inode

    def _parent(self, path):
        directory, _, name = path.rpartition("/")
        return self._find(directory), name

    def _open(self, inode, flags):
        handle = self.next_handle
        self.next_handle += 1
        through = flags & (os.O_DSYNC | os.O_SYNC)
        self.handles[handle] = (inode, through != 0)
        return handle

    # -- calls -----------------------------------------------------------------------------------

    @call
    def getattr(self, path, fh=None):
        inode = self.handles[fh][0] if fh in self.handles else self._find(path)
        size = 0 if inode.is_directory else len(inode.now)
        accessed, modified = inode.times
        return {
            "st_mode": inode.mode,
            "st_nlink": inode.links,
            "st_size": size,
            "st_blocks": (size + 511) // 512,
            "st_ino": inode.number,
            "st_atime": accessed,
            "st_mtime": modified,
            "st_ctime": modified,
            "st_uid": os.getuid(),
            "st_gid": os.getgid(),
        }

    @call
    def readdir(self, path, fh):
        names = self._find(path).names.items()
        attributes = [(n, {"st_mode": i.mode, "st_ino": i.number}, 0) for n, i in names]
        return [".", "..", *attributes]

    def statfs(self, path):
        blocks = SPACE_BYTES // BLOCK
        return {
            "f_bsize": BLOCK,
            "f_frsize": BLOCK,
            "f_blocks": blocks,
            "f_bfree": blocks // 2,
            "f_bavail": blocks // 2,
            "f_namemax": 255,
        }

    @call
    def mkdir(self, path, mode):
        directory, name = self._parent(path)
        self.volatile.make(directory, name, stat.S_IFDIR | (mode & 0o7777))

    @call
    def create(self, path, mode, flags):
        directory, name = self._parent(path)
        inode = self.volatile.make(directory, name, stat.S_IFREG | (mode & 0o7777))
        return self._open(inode, flags)

    @call
    def open(self, path, flags):
        return self._open(self._find(path), flags)

    @call
    def read(self, path, size, offset, fh):
        return bytes(self.handles[fh][0].now[offset : offset + size])

    @call
    def write(self, path, data, offset, fh):
        inode, through = self.handles[fh]
        inode.times = (inode.times[0], time.time_ns())
        self.volatile.write(inode, offset, data)
        if through and not self.lies:
            end = offset + len(data)
            self._die_in(inode, offset, end)
            self.volatile.sync_range(inode, offset, end)
        return len(data)

    @call
    def truncate(self, path, length, fh=None):
        inode = self.handles[fh][0] if fh in self.handles else self._find(path)
        self.volatile.truncate(inode, length)

    @call
    def fsync(self, path, datasync, fh):
        inode, through = self.handles[fh]
        # The kernel sends this after each write with O_DSYNC: that has kept its range already.
        if through:
            return
        self._die_in(inode, 0, len(inode.now))
        self.volatile.sync_data(inode)

    @call
    def fsyncdir(self, path, datasync, fh):
        if self.dying.is_set():
            raise PowerCut
        self.volatile.sync_names(self._find(path))

    @call
    def rename(self, old, new):
        source, name = self._parent(old)
        target, new_name = self._parent(new)
        if name not in source.names:
            raise mfusepy.FuseOSError(errno.ENOENT)
        inode = source.names[name]
        self.volatile.change([(source, name, None), (target, new_name, inode)])

    @call
    def link(self, target, source):
        directory, name = self._parent(target)
        if name in directory.names:
            raise mfusepy.FuseOSError(errno.EEXIST)
        inode = self._find(source)
        inode.links += 1
        self.volatile.change([(directory, name, inode)])

    @call
    def unlink(self, path):
        directory, name = self._parent(path)
        if name not in directory.names:
            raise mfusepy.FuseOSError(errno.ENOENT)
        directory.names[name].links -= 1
        self.volatile.change([(directory, name, None)])

    @call
    def rmdir(self, path):
        if self._find(path).names:
            raise mfusepy.FuseOSError(errno.ENOTEMPTY)
        directory, name = self._parent(path)
        self.volatile.change([(directory, name, None)])

    @call
    def chmod(self, path, mode):
        inode = self._find(path)
        inode.mode = stat.S_IFMT(inode.mode) | (mode & 0o7777)

    def chown(self, path, uid, gid):
        return 0

    @call
    def utimens(self, path, times=None):
        self._find(path).times = times or (time.time_ns(), time.time_ns())

    def flush(self, path, fh):
        return 0

    @call
    def release(self, path, fh):
        self.handles.pop(fh, None)

    # -- the cut ---------------------------------------------------------------------------------

    def _die_in(self, inode, offset, end):
        """A cut that was asked for comes in the middle of this sync."""
        if self.dying.is_set():
            self.report["kept"], self.report["torn"] = self.volatile.tear(inode, offset, end)
            raise PowerCut

    def cut(self, share, patience=0.05):
        self.dying.set()
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            with self.guard:
                if self.dead:
                    break
            time.sleep(0.001)
        with self.guard:
            self.dead = True
            lost = self.volatile.cut(share)
        return {**self.report, **lost, "syncs": self.volatile.syncs}

    def save(self, folder):
        with self.guard:
            save_directory(self.volatile, self.volatile.root, folder)
        return {}


def save_directory(volatile, directory, folder):
    os.makedirs(folder)
    for name, inode in directory.kept_names.items():
        path = os.path.join(folder, name)
        if inode.is_directory:
            save_directory(volatile, inode, path)
            continue
        with open(path, "wb") as file:
            file.write(volatile.kept_content(inode))
        os.chmod(path, stat.S_IMODE(inode.mode))


def load_directory(volatile, directory, folder):
    for entry in os.scandir(folder):
        volatile.count += 1
        inode = Inode(volatile.count, entry.stat().st_mode)
        directory.names[entry.name] = directory.kept_names[entry.name] = inode
        if entry.is_dir():
            load_directory(volatile, inode, entry.path)
            continue
        with open(entry.path, "rb") as file:
            inode.now = bytearray(file.read())
        inode.kept = bytearray(inode.now)
        inode.kept_size = len(inode.now)


def answer_commands(disk, mountpoint):
    for line in sys.stdin:
        command = json.loads(line)
        if "cut" in command:
            answer = disk.cut(command["cut"])
        else:
            answer = disk.save(command["save"])
        print(json.dumps(answer), flush=True)
        if "save" in command:
            # The calls that wait for an answer end with the process.
            os._exit(0)
    # Nobody is there any more who would unmount it.
    subprocess.run(["umount", "--lazy", mountpoint], check=False)


def main():
    mountpoint, source, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    volatile = Volatile(options["granule"], options["seed"], options["writeBack"])
    load_directory(volatile, volatile.root, source)
    disk = Disk(volatile, options["lies"])
    threading.Thread(target=answer_commands, args=(disk, mountpoint), daemon=True).start()
    mfusepy.FUSE(
        disk,
        mountpoint,
        foreground=True,
        nothreads=True,
        fsname="volatile",
        hard_remove=True,
        use_ino=True,
        attr_timeout=0,
        entry_timeout=0,
    )


if __name__ == "__main__":
    main()
