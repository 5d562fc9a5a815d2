"""A disk that forgets: the model behind the mounted file system of `mount.py`.

What programs see is `now`; what a power cut leaves is `kept`. Data moves from one to the other when
it is synced, in granules of 512 or 4096 bytes: fsync and fdatasync move all of a file, a write to a
file that was opened with O_SYNC or O_DSYNC moves its own range only. Names (of files that were
made, linked, renamed, removed) move when their directory is synced, and not before. Now and then a
granule moves by itself, as the page cache of a kernel does, so that a file can survive with newer
and older parts side by side.
"""

import random
import stat
import time

ROOT = 1


class Inode:
    """A file with both of its contents, or a directory with both of its lists of names."""

    def __init__(self, number, mode):
        self.number = number
        self.mode = mode
        self.links = 1
        self.times = (time.time_ns(), time.time_ns())
        self.now = bytearray()
        self.kept = bytearray()
        self.kept_size = 0
        self.dirty = set()
        self.names = {}
        self.kept_names = {}

    @property
    def is_directory(self):
        return stat.S_ISDIR(self.mode)

    @property
    def size_changed(self):
        return self.kept_size != len(self.now)


class NameChange:
    """One step in the life of names, kept whole or not at all: entries of directories."""

    def __init__(self, entries):
        # (directory, name, inode or None) in the order in which they take effect
        self.entries = entries

    def touches(self, directory):
        return any(entry[0] is directory for entry in self.entries)

    def keep(self):
        for directory, name, inode in self.entries:
            if inode is None:
                directory.kept_names.pop(name, None)
            else:
                directory.kept_names[name] = inode


class Volatile:
    def __init__(self, granule, seed, write_back):
        self.granule = granule
        self.random = random.Random(seed)
        self.write_back = write_back
        self.root = Inode(ROOT, stat.S_IFDIR | 0o755)
        self.count = ROOT
        # Changes of names that no sync has made durable yet, oldest first.
        self.journal = []
        self.syncs = 0

    # -- data ------------------------------------------------------------------------------------

    def write(self, inode, offset, data):
        end = offset + len(data)
        if end > len(inode.now):
            self._mark(inode, len(inode.now), end)
            inode.now.extend(bytes(end - len(inode.now)))
        inode.now[offset:end] = data
        self._mark(inode, offset, end)
        if inode.dirty and self.random.random() < self.write_back:
            some = self.random.sample(sorted(inode.dirty), min(4, len(inode.dirty)))
            self._keep(inode, some)

    def truncate(self, inode, size):
        if size < len(inode.now):
            del inode.now[size:]
            self._mark(inode, size, size + 1)
        elif size > len(inode.now):
            self._mark(inode, len(inode.now), size)
            inode.now.extend(bytes(size - len(inode.now)))

    def sync_data(self, inode):
        """fsync and fdatasync: all of the file, and its size."""
        self.syncs += 1
        self._keep(inode, inode.dirty)
        inode.dirty = set()
        inode.kept_size = len(inode.now)

    def sync_range(self, inode, offset, end):
        """A write with O_DSYNC: its range, and the size when the range ends beyond it."""
        self.syncs += 1
        granules = self._granules(offset, end)
        self._keep(inode, granules)
        inode.kept_size = max(inode.kept_size, end)

    def tear(self, inode, offset, end):
        """A sync that the cut overtakes: any of its granules are kept, or a first part of them."""
        granules = [each for each in self._granules(offset, end) if each in inode.dirty]
        if self.random.random() < 0.5:
            some = granules[: self.random.randint(0, len(granules))]
        else:
            some = [each for each in granules if self.random.random() < 0.5]
        self._keep(inode, some)
        if self.random.random() < 0.5:
            inode.kept_size = max(inode.kept_size, min(end, len(inode.now)))
        return len(some), len(granules)

    def _granules(self, offset, end):
        return range(offset // self.granule, (max(end, offset + 1) - 1) // self.granule + 1)

    def _mark(self, inode, offset, end):
        inode.dirty.update(self._granules(offset, end))

    def _keep(self, inode, granules):
        # Neighbours are copied in one piece: a fresh file of zeros is thousands of granules.
        kept, now, size = inode.kept, inode.now, self.granule
        for first, last in _runs(granules):
            start, end = first * size, min((last + 1) * size, len(now))
            if end <= start:
                continue
            if len(kept) < end:
                kept.extend(bytes(end - len(kept)))
            kept[start:end] = now[start:end]
        inode.dirty.difference_update(granules)

    # -- names -----------------------------------------------------------------------------------

    def make(self, directory, name, mode):
        self.count += 1
        inode = Inode(self.count, mode)
        self.change([(directory, name, inode)])
        return inode

    def change(self, entries):
        for directory, name, inode in entries:
            if inode is None:
                directory.names.pop(name, None)
            else:
                directory.names[name] = inode
        self.journal.append(NameChange(entries))

    def sync_names(self, directory):
        self.syncs += 1
        for change in self.journal:
            if change.touches(directory):
                change.keep()
        self.journal = [each for each in self.journal if not each.touches(directory)]

    # -- the cut ---------------------------------------------------------------------------------

    def cut(self, share):
        """What is not synced is lost, but for a share (0: all of it). Returns the losses."""
        lost = {"granules": 0, "names": 0, "sizes": 0}
        for change in self.journal:
            if self.random.random() < share:
                change.keep()
            else:
                lost["names"] += 1
        self.journal = []
        for inode in self._all_kept(self.root, {}):
            some = [each for each in sorted(inode.dirty) if self.random.random() < share]
            lost["granules"] += len(inode.dirty) - len(some)
            self._keep(inode, some)
            if inode.size_changed:
                if self.random.random() < share:
                    inode.kept_size = len(inode.now)
                else:
                    lost["sizes"] += 1
        return lost

    def kept_content(self, inode):
        """What a file holds after the cut: never-kept parts below its size are zeros."""
        content = bytes(inode.kept[: inode.kept_size])
        return content + bytes(inode.kept_size - len(content))

    def _all_kept(self, directory, seen):
        for inode in directory.kept_names.values():
            if inode.number in seen:
                continue
            seen[inode.number] = inode
            if inode.is_directory:
                self._all_kept(inode, seen)
        return [inode for inode in seen.values() if not inode.is_directory]


def _runs(granules):
    """Stretches of neighbours in a collection of numbers, as pairs of first and last."""
    if isinstance(granules, range):
        return [(granules.start, granules.stop - 1)] if len(granules) > 0 else []
    runs = []
    for each in sorted(granules):
        if runs and runs[-1][1] == each - 1:
            runs[-1] = (runs[-1][0], each)
        else:
            runs.append((each, each))
    return runs
