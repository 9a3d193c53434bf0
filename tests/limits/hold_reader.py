#!/usr/bin/env python3
"""Hold a read transaction of an LMDB environment open until somebody ends this process.

    hold_reader.py DIRECTORY [idle]

With "idle" the environment is only open: whoever opens it alone starts with an empty table of
readers, so that without such a one nobody would ever meet a dead reader. Prints a line once it holds. It stands on the C library, so that no package beyond it is needed.
"""

import ctypes
import sys
import time

RDONLY, NOTLS = 0x20000, 0x200000


def must(code, what):
    if code:
        sys.exit(f"{what}: {code}")


def main(directory, idle):
    lmdb = ctypes.CDLL("liblmdb.so.0")
    environment, transaction = ctypes.c_void_p(), ctypes.c_void_p()
    must(lmdb.mdb_env_create(ctypes.byref(environment)), "create")
    must(lmdb.mdb_env_set_mapsize(environment, ctypes.c_size_t(1 << 30)), "map")
    must(lmdb.mdb_env_open(environment, directory.encode(), RDONLY | NOTLS, 0o600), "open")
    if not idle:
        must(lmdb.mdb_txn_begin(environment, None, RDONLY, ctypes.byref(transaction)), "begin")
    print("holding", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] == ["idle"])
