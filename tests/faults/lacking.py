#!/usr/bin/env python3
"""Runs a command where some system calls fail, as they do on older kernels, in sandboxes, and on disks that cannot do all that
ext4 does: `tests/faults/lacking.py CALL=ERROR[,CALL=ERROR] COMMAND...`, such as `sendfile=EINVAL target/debug/number8`.

`CALL&FLAGS=ERROR` is only the calls that have all of these bits in their third argument. A filter of seccomp(2) does it, which
whatever the command starts has as well.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

# Numbers of calls (asm/unistd.h): x86-64, and what all newer ports share. Those from 424 on are the same for all.
NUMBERS = {
    "flock": (73, 32),
    "openat": (257, 56),
    "sendfile": (40, 71),
    "preadv2": (327, 286),
    "renameat2": (316, 276),
    "fallocate": (285, 47),
    "fsync": (74, 82),
    "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434),
    "close_range": (436, 436),
    "openat2": (437, 437),
    "faccessat2": (439, 439),
    "landlock_create_ruleset": (444, 444),
}
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # the column above, AUDIT_ARCH
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, FAIL = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
LOAD, EQUAL, MASK, RETURN = 0x20, 0x15, 0x54, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_ALU|AND|K, BPF_RET|K
NUMBER_AT, ARCHITECTURE_AT, THIRD_AT = 0, 4, 32  # in struct seccomp_data, of a little-endian machine


def is_known():
    return platform.machine() in ARCHITECTURES and sys.platform == "linux"


def program(rules):
    """The filter: (call, flags, errno) each, in instructions of BPF."""
    column, architecture = ARCHITECTURES[platform.machine()]
    code = [(LOAD, 0, 0, ARCHITECTURE_AT), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, ALLOW)]
    for call, flags, error in rules:
        fail = (RETURN, 0, 0, FAIL | error)
        number = NUMBERS[call][column]
        if flags:
            body = [(LOAD, 0, 0, THIRD_AT), (MASK, 0, 0, flags), (EQUAL, 0, 1, flags), fail]
        else:
            body = [fail]
        code += [(LOAD, 0, 0, NUMBER_AT), (EQUAL, 0, len(body), number), *body]
    return [*code, (RETURN, 0, 0, ALLOW)]


def confine(rules):
    code = program(rules)
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in code))
    whole = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(instructions)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, whole, 0, 0)):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "prctl")


def rule(text):
    call, error = text.split("=")
    call, _, flags = call.partition("&")
    return call, int(flags, 0) if flags else 0, getattr(errno, error)


if __name__ == "__main__":
    _, asked, *command = sys.argv
    confine([rule(text) for text in asked.split(",")])
    os.execvp(command[0], command)
