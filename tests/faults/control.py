"""The file by which a running node is told which call is to fail (tests/faults/shim.c has the same layout)."""

import errno
import mmap
import os
import struct

KINDS = ("write", "sync", "rename", "link", "open", "open-read", "read", "mkdir", "truncate", "unlink",
         "thread", "fork", "socket", "memory", "library-memory")
ACTIONS = ("pass", "fail", "kill", "swallow", "half", "garble")
# The error that such a call gives on a machine in trouble.
ERRORS = {"write": (errno.ENOSPC, errno.EIO), "sync": (errno.EIO,), "rename": (errno.ENOSPC,), "link": (errno.ENOSPC,),
          "open": (errno.ENOSPC, errno.EMFILE), "open-read": (errno.EMFILE,), "read": (errno.EIO,),
          "mkdir": (errno.ENOSPC,), "truncate": (errno.EIO,), "unlink": (errno.EIO,),
          "thread": (errno.EAGAIN,), "fork": (errno.EAGAIN,), "socket": (errno.EMFILE,), "memory": (errno.ENOMEM,),
          "library-memory": (errno.ENOMEM,)}
MAGIC = 0x4C564E46
HEAD = struct.Struct("=IIIIiIQQ64s128s64s128s")
PLACES, PLACE_BYTES = 16, 384
SEEN_AT = HEAD.size
FAILED_AT = SEEN_AT + 8 * len(KINDS)
PLACES_AT = FAILED_AT + 8
BYTES = PLACES_AT + PLACES * PLACE_BYTES
ARMED_AT = 4


class Control:
    """One role's faults. `threads`: the names of its processes; `path`: part of the paths that are meant."""

    def __init__(self, path, threads, scope, modules=("livervlmd", "lvn-worker.so"),
                 libraries=("libstdc++.so.6", "libc10.so", "libtorch_cpu.so.1.13", "libjansson.so.4", "libsqlite3.so.0")):
        self.path = path
        self.threads = "".join(name + "," for name in threads).encode()
        self.scope = str(scope).encode()
        self.modules = "".join(name + "," for name in modules).encode()
        self.libraries = "".join(name + "," for name in libraries).encode()
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(fd, BYTES)
        self.map = mmap.mmap(fd, BYTES)
        os.close(fd)
        self.map[:4] = struct.pack("=I", MAGIC)

    def environment(self, shim):
        return dict(os.environ, LD_PRELOAD=str(shim), LVN_FAULTS=str(self.path))

    def arm(self, kind, action="fail", first=1, count=1, error=0, scope=None):
        """Counts from one. action "pass" only counts the calls of every kind but memory (unless it is the kind)."""
        self.disarm()
        count = 0 if action == "pass" else count
        self.map[SEEN_AT:BYTES] = bytes(BYTES - SEEN_AT)
        self.map[:HEAD.size] = HEAD.pack(MAGIC, 0, KINDS.index(kind), ACTIONS.index(action), error, 0, first, count,
                                         self.threads, self.scope if scope is None else scope.encode(), self.modules,
                                         self.libraries)
        self.map[ARMED_AT:ARMED_AT + 4] = struct.pack("=I", 1)

    def disarm(self):
        self.map[ARMED_AT:ARMED_AT + 4] = struct.pack("=I", 0)

    def seen(self):
        counts = struct.unpack_from(f"={len(KINDS)}Q", self.map, SEEN_AT)
        return dict(zip(KINDS, counts))

    def failed(self):
        return struct.unpack_from("=Q", self.map, FAILED_AT)[0]

    def places(self):
        """[(thread, path, [module+offset])] of the first calls that failed."""
        found = []
        for i in range(min(self.failed(), PLACES)):
            start = PLACES_AT + i * PLACE_BYTES
            text = self.map[start:start + PLACE_BYTES].split(b"\0", 1)[0].decode(errors="replace")
            thread, path, frames = (text.split("\t") + ["", "", ""])[:3]
            found.append((thread, path, frames.split()))
        return found
