#!/usr/bin/env python3
"""Append commands to a store as docs/FORMAT.md says, whatever they hold.

provenv appends no command that would be without effect. The rules that decide about effect are for
logs that somebody else wrote, and this is that somebody: it signs with the user's key and puts
every row that belongs to an event, but asks no rule. Needs the module lmdb (Debian: python3-lmdb).

    second_writer.py STORE KEYFILE < COMMANDS

Each line of COMMANDS is a command, a JSON array of [type, payload]. In payloads "bytes:N" stands for
N bytes of any kind, and "@-N" for the number of the event itself less N.
"""

import base64
import hashlib
import json
import os
import sys

import lmdb

from second_reader import Map, Event, decode, encode, sha256, tree_row, u64
from verify_note import BASE, L, P, multiply


def encode_point(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def sha512_number(data):
    return int.from_bytes(hashlib.sha512(data).digest(), "little")


class Signer:
    """RFC 8032, section 5.1.6, from a key file (section 7)."""

    def __init__(self, path):
        with open(path, encoding="ascii") as file:
            self.seed = base64.b64decode(file.read().rstrip("\n").split("+", 4)[4])[1:]
        digest = hashlib.sha512(self.seed).digest()
        scalar = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | 1 << 254
        self.scalar, self.prefix = scalar, digest[32:]
        self.public_key = encode_point(multiply(scalar, BASE))

    def sign(self, message):
        nonce = sha512_number(self.prefix + message) % L
        commitment = encode_point(multiply(nonce, BASE))
        challenge = sha512_number(commitment + self.public_key + message) % L
        return commitment + ((nonce + challenge * self.scalar) % L).to_bytes(32, "little")


def value_of(item, seq):
    """What a JSON value stands for in event @seq."""
    if isinstance(item, Map):
        return Map((name, value_of(value, seq)) for name, value in item)
    if isinstance(item, list):
        return [value_of(value, seq) for value in item]
    if isinstance(item, str) and item.startswith("bytes:"):
        return b"B" * int(item[6:])
    if isinstance(item, str) and item.startswith("@-"):
        return seq - int(item[2:])
    return item


class Writer:
    def __init__(self, store, signer):
        self.signer = signer
        self.environment = lmdb.open(store + "/log", max_dbs=5, map_size=1 << 30)
        self.tables = {name: self.environment.open_db(name.encode(), create=False)
                       for name in ("events", "tree", "commands", "registry", "meta")}
        with self.environment.begin(db=self.tables["events"]) as transaction:
            leaves = [leaf for _, leaf in transaction.cursor()]
        self.hashes = [sha256(b"\0" + leaf) for leaf in leaves]
        self.time_ms = decode(leaves[-1][:-64])[4]

    def append(self, parts):
        command_id = os.urandom(16)
        with self.environment.begin(write=True) as transaction:
            transaction.put(b"txn", u64(transaction.id()), db=self.tables["meta"])
            transaction.put(command_id, u64(len(self.hashes) + 1), db=self.tables["commands"])
            for number, (kind, payload) in enumerate(parts, 1):
                seq = len(self.hashes) + 1
                event = encode([1, self.hashes[0][:16], seq, self.hashes[-1], self.time_ms,
                                self.time_ms, sha256(self.signer.public_key)[:8], command_id,
                                number, len(parts), kind, value_of(payload, seq), "by hand"])
                leaf = event + self.signer.sign(b"provenv/event/v1\0" + event)
                Event(leaf)  # refuses what is no event: a rule is to be broken, not the encoding
                self.hashes.append(sha256(b"\0" + leaf))
                transaction.put(u64(seq), leaf, db=self.tables["events"])
                transaction.put(u64(seq), tree_row(self.hashes), db=self.tables["tree"])


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    writer = Writer(arguments[0], Signer(arguments[1]))
    for line in sys.stdin:
        writer.append(json.loads(line, object_pairs_hook=Map))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
