"""Cut this process off from the network, for good: the system refuses it sockets (seccomp, Linux)."""

import ctypes
import errno
import platform
import struct

MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # the architecture's name, the call `socket`
NO_NEW_PRIVILEGES, SET_SECCOMP, MODE_FILTER = 38, 22, 2  # of prctl(2)
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # of BPF
NUMBER, ARCHITECTURE = 0, 4  # where struct seccomp_data has them
OTHER_ABI = 0x40000000  # the calls of x32, under other numbers
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def go_offline() -> bool:
    """Refuse this process every socket that it opens from now on; return whether the system could be told to.

    This stands behind the grammar of queries, should the engine ever read one otherwise than the grammar does.
    """
    if platform.system() != "Linux" or platform.machine() not in MACHINES:
        return False
    architecture, socket = MACHINES[platform.machine()]
    steps = (  # each jump says how many steps to leave out, if so and if not
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 0, 3, architecture),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 1, 0, OTHER_ABI),
        (EQUAL, 0, 1, socket),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    )
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = (ctypes.c_int, *(ctypes.c_void_p,) * 4)
    program = _Program(len(steps), code)
    if prctl(NO_NEW_PRIVILEGES, 1, None, None, None) != 0:
        return False
    return bool(prctl(SET_SECCOMP, MODE_FILTER, ctypes.addressof(program), None, None) == 0)
