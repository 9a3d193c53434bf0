#!/usr/bin/env python3
"""A second reader of a store, written from docs/FORMAT.md and docs/EVENTS.md alone.

It shares no code and no library with provenv, save LMDB itself to get at the rows: MessagePack,
Ed25519 (verify_note.py), the Merkle tree, the rules and effects of events and the state hash are
done anew, slowly and plainly. Where it and provenv differ, one of the two or the page is wrong.

    second_reader.py dump STORE     print the rows of the log, "TABLE KEY VALUE" in hex, one a line;
                                    needs the module lmdb (Debian: python3-lmdb)
    second_reader.py read DUMP      check them, fold them, and print what came of it as JSON;
                                    exit 1 when something does not fit, which "problems" tells
"""

import base64
import hashlib
import json
import re
import sys

from verify_note import ed25519_verify

LEAF_BYTES_MAX = 65535
SIGNATURE_BYTES = 64
PARTS_MAX = 16384
COMMAND_BYTES_MAX = 8 * 1024 * 1024
DEPTH_MAX = 8
TABLES = ("events", "tree", "commands", "registry", "meta")


class Refused(Exception):
    """Bytes that the page does not allow; the text says why."""


def demand(condition, why):
    """Not an assert: those vanish under -O."""
    if not condition:
        raise Refused(why)


def sha256(data):
    return hashlib.sha256(data).digest()


def u32(number):
    return number.to_bytes(4, "big")


def u64(number):
    return number.to_bytes(8, "big")


# ---- the rows (section 2) ----


def dump(store):
    import lmdb  # here, so that reading a dump needs nothing but Python

    environment = lmdb.open(store + "/log", max_dbs=len(TABLES), readonly=True, lock=False)
    with environment.begin() as transaction:
        for table in TABLES:
            rows = transaction.cursor(environment.open_db(table.encode(), transaction, create=False))
            for key, value in rows:
                print(table, key.hex(), value.hex())
    print("environment", b"txn".hex(), u64(environment.info()["last_txnid"]).hex())


def load(path):
    tables = {table: {} for table in TABLES + ("environment",)}
    with open(path, encoding="ascii") as file:
        for line in file:
            table, key, value = line.rstrip("\n").split(" ")
            tables[table][bytes.fromhex(key)] = bytes.fromhex(value)
    return tables


# ---- MessagePack (section 3, "Encoding"): maps become lists of pairs, so that order is kept ----


class Map(list):
    """Pairs in the order of the bytes."""

    def names(self):
        return [name for name, _ in self]

    def get(self, name, absent=None):
        return dict(self).get(name, absent)


class Decoder:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        demand(count <= len(self.data) - self.at, "a length leads past the end")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def text(self, size):
        try:
            return self.take(size).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Refused("a string is not UTF-8") from error

    def array(self, count, depth):
        return [self.value(depth + 1) for _ in range(count)]

    def map(self, count, depth):
        return Map((self.value(depth + 1), self.value(depth + 1)) for _ in range(count))

    def value(self, depth=0):
        demand(depth <= DEPTH_MAX, "nested too deeply")
        head = self.number(1)
        if head < 0x80:
            return head
        if head < 0x90:
            return self.map(head & 15, depth)
        if head < 0xA0:
            return self.array(head & 15, depth)
        if head < 0xC0:
            return self.text(head & 31)
        if head in (0xC2, 0xC3):
            return head == 0xC3
        if 0xC4 <= head <= 0xC6:
            return bytes(self.take(self.number(1 << head - 0xC4)))
        if 0xCC <= head <= 0xCF:
            return self.number(1 << head - 0xCC)
        if 0xD9 <= head <= 0xDB:
            return self.text(self.number(1 << head - 0xD9))
        if head in (0xDC, 0xDD):
            return self.array(self.number(2 << head - 0xDC), depth)
        if head in (0xDE, 0xDF):
            return self.map(self.number(2 << head - 0xDE), depth)
        raise Refused("byte %#x begins nothing that is allowed" % head)


def sized(length, fix, fix_max, heads):
    """The head of something with a length: in one byte, or the shortest of @heads."""
    if length <= fix_max:
        return bytes([fix | length])
    for head, size in heads:
        if length < 1 << 8 * size:
            return bytes([head]) + length.to_bytes(size, "big")
    raise Refused("too long to encode")


def encode(value):
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return sized(value, 0, 127, ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8)))
    if isinstance(value, str):
        text = value.encode()
        return sized(len(text), 0xA0, 31, ((0xD9, 1), (0xDA, 2), (0xDB, 4))) + text
    if isinstance(value, bytes):
        return sized(len(value), 0, -1, ((0xC4, 1), (0xC5, 2), (0xC6, 4))) + value
    if isinstance(value, Map):
        items = b"".join(encode(name) + encode(item) for name, item in value)
        return sized(len(value), 0x80, 15, ((0xDE, 2), (0xDF, 4))) + items
    items = b"".join(encode(item) for item in value)
    return sized(len(value), 0x90, 15, ((0xDC, 2), (0xDD, 4))) + items


def decode(data):
    decoder = Decoder(data)
    value = decoder.value()
    demand(decoder.at == len(data) and encode(value) == data, "not the one encoding of its value")
    return value


# ---- kinds of fields (EVENTS.md) ----


def matches(pattern):
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def text_up_to(length):
    return (lambda value: isinstance(value, str) and "\0" not in value
            and len(value.encode()) <= length)


def bin_of(length):
    return lambda value: isinstance(value, bytes) and len(value) == length


def is_uint(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_bool(value):
    return isinstance(value, bool)


def ascends(items):
    return all(a < b for a, b in zip(items, items[1:]))


def is_languages(value):
    return (isinstance(value, Map) and 1 <= len(value) <= 32
            and all(is_tag(tag) and len(tag) <= 35 and is_text(text) for tag, text in value)
            and ascends([tag.encode() for tag in value.names()]))


def is_texts(value):
    return (type(value) is list and 1 <= len(value) <= 256 and all(is_text(item) for item in value)
            and len(set(value)) == len(value))


def is_readers(value):
    return (type(value) is list and 1 <= len(value) <= 256
            and all(type(reader) is list and len(reader) == 2 and bin_of(8)(reader[0])
                    and bin_of(80)(reader[1]) for reader in value)
            and ascends([reader[0] for reader in value]))


def is_seal(value):
    return (type(value) is list and len(value) == 2 and bin_of(32)(value[0])
            and isinstance(value[1], bytes))


def is_copy(value):
    return type(value) is list and len(value) == 2 and all(is_uint(item) for item in value)


CHANGE_KINDS = {"set": text_up_to(32 * 1024), "seal": is_seal, "copy": is_copy,
                "unset": lambda value: value is True}


def is_change(value):
    names = value.names() if isinstance(value, Map) else []
    if len(names) == 4 and names[3] == "expand" and value.get("expand") is True:
        names.pop()
    return (len(names) == 3 and names[:2] == ["profile", "key"] and names[2] in CHANGE_KINDS
            and is_name(value.get("profile")) and is_key(value.get("key"))
            and CHANGE_KINDS[names[2]](value.get(names[2])))


def is_changes(value):
    return (type(value) is list and 1 <= len(value) <= 10000
            and all(is_change(change) for change in value)
            and ascends([(c.get("profile").encode(), c.get("key").encode()) for c in value]))


is_name = matches("[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
is_key = matches("[A-Za-z_][A-Za-z0-9_]{0,254}")
is_tag = matches("[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
is_text = text_up_to(4096)

def is_decimal(value):
    return (matches(r"[+-]?[0-9]+(\.[0-9]+)?")(value)
            and sum(char in "0123456789" for char in value) <= 64)


KINDS = {
    "name": is_name, "environment": is_name, "profile": is_name, "base": is_name,
    "category": is_name, "type": is_name, "kind": is_name, "source": is_name, "key": is_key,
    "operator": matches("[A-Za-z0-9][A-Za-z0-9_.@-]{0,126}"), "nonce": bin_of(32),
    "operator_key": bin_of(32), "log_key": bin_of(32), "expected_root": bin_of(32),
    "public_key": bin_of(32), "expected_size": is_uint, "generation": is_uint,
    "until_ms": is_uint, "target_seq": is_uint, "protected": is_bool, "planned": is_bool,
    "required": is_bool, "secret": is_bool, "title": is_languages, "description": is_languages,
    "enum": is_texts, "pattern": is_text, "min": is_decimal, "max": is_decimal,
    "default": text_up_to(32 * 1024), "unit": is_text, "example": is_text, "scope": is_text,
    "only": is_text, "path": is_text, "changes": is_changes, "readers": is_readers,
    "manifest": bin_of(32), "log_root": bin_of(32), "note": is_text, "cause": is_text,
    "from_path": is_text, "to_path": is_text, "sealed": is_bool, "forced": is_bool,
    "bytes": is_uint, "chunks": is_uint, "new_chunks": is_uint, "stored_bytes": is_uint,
    "pages": is_uint, "schema_version": is_uint, "log_size": is_uint, "backup": is_uint,
    "replacement": is_uint, "safety": is_uint,
}

# Fields in their order, optional ones in brackets; then the rules in theirs.
TYPES = {
    "store.created": ("nonce operator operator_key log_key", ""),
    "store.recovered": ("expected_size expected_root generation", ""),
    "environment.created": ("name profile protected [title] [description]", "environment-absent"),
    "environment.changed": ("name protected [title] [description]", "environment-exists"),
    "environment.removed": ("name", "environment-exists environment-inactive"),
    "environment.switched": ("name", "environment-exists"),
    "environment.locked": ("name [until_ms]", "environment-exists"),
    "environment.unlocked": ("name", "environment-exists environment-locked"),
    "environment.keyed": ("name generation public_key readers",
                          "environment-exists key-generation"),
    "profile.created": ("environment name [base] [title] [description]",
                        "environment-exists profile-absent base-exists"),
    "profile.changed": ("environment name [base] [title] [description]",
                        "environment-exists profile-exists base-exists base-acyclic"),
    "profile.removed": ("environment name",
                        "environment-exists profile-exists profile-inactive base-unused"),
    "profile.switched": ("environment name", "environment-exists profile-exists"),
    "category.defined": ("name planned [title] [description]", ""),
    "category.removed": ("name", "category-exists category-unused"),
    "variable.specified": ("key type [category] required secret [enum] [pattern] [min] [max] "
                           "[default] [unit] [title] [description] [example]", "category-exists"),
    "variable.unspecified": ("key", "specification-exists"),
    "variables.changed": ("environment changes [source]",
                          "environment-exists profile-exists variable-set copy-target"),
    "state.rolled_back": ("scope target_seq [only]", "target-older"),
    "database.attached": ("environment profile name kind path",
                          "environment-exists profile-exists"),
    "database.detached": ("environment profile name",
                          "environment-exists profile-exists database-exists replacement-idle"),
    "database.moved": ("environment profile name kind path",
                       "environment-exists profile-exists database-exists"),
    "backup.created": ("environment profile name kind path trigger source_state manifest bytes "
                       "chunks new_chunks stored_bytes [pages] [schema_version] log_size log_root "
                       "sealed [note] [tag]",
                       "environment-exists profile-exists database-exists"),
    "backup.verified": ("backup result [cause]", "backup-exists"),
    "backup.removed": ("backup", "backup-exists"),
    "replacement.started": ("environment profile name operation kind path [backup] [from_path] "
                            "[to_path] forced",
                            "environment-exists profile-exists database-exists backup-exists "
                            "replacement-idle"),
    "replacement.staged": ("environment profile name replacement [safety]",
                           "replacement-unfinished backup-exists"),
    "replacement.completed": ("environment profile name replacement [safety]",
                              "replacement-unfinished backup-exists"),
    "replacement.failed": ("environment profile name replacement [safety] cause",
                           "replacement-unfinished backup-exists"),
    "replacement.undone": ("environment profile name replacement [safety]",
                           "replacement-last backup-exists"),
    "action.refused": ("environment profile [name] operation cause",
                       "environment-exists profile-exists"),
}


def check_payload(kind, payload):
    demand(kind in TYPES, "the type %s is not known" % kind)
    demand(isinstance(payload, Map), "the payload is no map")
    left = payload.names()
    for field in TYPES[kind][0].split():
        name = field.strip("[]")
        if left[:1] == [name]:
            demand(KINDS[name](payload.get(name)), "%s is not of its kind" % name)
            left.pop(0)
        else:
            demand(field != name, "%s is missing or out of order" % name)
    demand(not left, "fields that are not known: %s" % left)


# ---- events, the chain, commands, signers (sections 3 and 4) ----

FIELDS = ("version", "log_id", "seq", "prev", "time_ms", "claimed_ms", "key_id", "command_id",
          "part", "parts", "type", "payload", "reason")


class Event:
    def __init__(self, leaf):
        demand(SIGNATURE_BYTES < len(leaf) <= LEAF_BYTES_MAX, "a leaf of %d bytes" % len(leaf))
        self.bytes = leaf[:-SIGNATURE_BYTES]
        self.signature = leaf[-SIGNATURE_BYTES:]
        self.hash = sha256(b"\0" + leaf)
        self.size = len(leaf)
        fields = decode(self.bytes)
        demand(type(fields) is list and len(fields) == len(FIELDS), "not 13 elements")
        for name, value in zip(FIELDS, fields):
            setattr(self, name, value)
        numbers = (self.version, self.seq, self.time_ms, self.claimed_ms, self.part, self.parts)
        demand(all(is_uint(number) for number in numbers), "an element that is no number")
        demand(self.version == 1, "version %d" % self.version)
        demand(bin_of(16)(self.log_id) and bin_of(32)(self.prev) and bin_of(8)(self.key_id)
               and bin_of(16)(self.command_id), "a binary element of another length")
        demand(max(self.time_ms, self.claimed_ms) < 1 << 63, "a time out of range")
        demand(1 <= self.part <= self.parts <= PARTS_MAX, "part %d of %d" % (self.part, self.parts))
        demand(matches("[a-z_.]{1,64}")(self.type), "a type that is none")
        demand(is_text(self.reason), "a reason that is none")
        check_payload(self.type, self.payload)

    def shared(self):
        """What all events of a command have in common."""
        return (self.parts, self.command_id, self.key_id, self.time_ms, self.claimed_ms,
                self.reason)


class Log:
    """Everything read, in order. What does not fit goes to `problems`, and reading goes on."""

    def __init__(self, tables):
        self.tables = tables
        self.problems = []
        self.events = []
        self.hashes = []
        self.keys = {}
        self.generation = 0
        self.log_key = b""
        for number in range(1, len(tables["events"]) + 1):
            self.take(number)
        self.note(bool(self.events) and self.events[-1].part == self.events[-1].parts,
                  "the log ends inside a command")
        self.check_tables()

    def note(self, holds, problem):
        if not holds:
            self.problems.append(problem)

    def take(self, number):
        leaf = self.tables["events"].get(u64(number))
        demand(leaf is not None, "event %d is missing" % number)
        try:
            event = Event(leaf)
        except Refused as why:
            raise Refused("event %d: %s" % (number, why)) from why
        where = "event %d: " % number
        self.note(event.seq == number, where + "calls itself %d" % event.seq)
        self.check_link(event, where)
        self.check_command(event, where)
        self.check_signer(event, where)
        self.events.append(event)
        self.hashes.append(event.hash)
        row = self.tables["tree"].get(u64(number))
        self.note(row == tree_row(self.hashes), where + "its row of the tree is wrong")

    def check_link(self, event, where):
        last = self.events[-1] if self.events else None
        self.note(event.prev == (last.hash if last else bytes(32)), where + "the chain is broken")
        self.note(event.log_id == (self.hashes[0][:16] if last else bytes(16)),
                  where + "of another log")
        self.note(event.time_ms == max(event.claimed_ms, last.time_ms if last else 0),
                  where + "its time is wrong")

    def check_command(self, event, where):
        last = self.events[-1] if self.events else None
        if last and last.part < last.parts:
            self.note(event.part == last.part + 1 and event.shared() == last.shared(),
                      where + "does not go on with its command")
        else:
            self.note(event.part == 1, where + "begins in the middle of a command")
        begun = [e for e in self.events[len(self.events) + 1 - event.part :]] + [event]
        self.note(sum(e.size for e in begun) <= COMMAND_BYTES_MAX, where + "its command is too long")

    def check_signer(self, event, where):
        payload = event.payload
        self.note((event.type == "store.created") == (not self.events), where + "is out of place")
        if event.type == "store.created":
            key = payload.get("operator_key")
            self.keys[sha256(key)[:8]] = key
            self.log_key = payload.get("log_key")
            self.generation = 1
        key = self.keys.get(event.key_id)
        self.note(key is not None and ed25519_verify(key, b"provenv/event/v1\0" + event.bytes,
                                                     event.signature),
                  where + "its signature is wrong")
        if event.type == "store.recovered":
            self.note(payload.get("generation") > self.generation, where + "an older generation")
            self.generation = payload.get("generation")

    def check_tables(self):
        """The tables hold what follows from the events and nothing more."""
        commands = {e.command_id: u64(e.seq) for e in self.events if e.part == 1}
        registry = {u64(e.seq): b"" for e in self.events if e.type.startswith("store.")}
        written = self.tables["environment"].get(b"txn")
        self.note(len(commands) == sum(e.part == 1 for e in self.events), "a command id is used twice")
        self.note(self.tables["commands"] == commands, "the table of commands is wrong")
        self.note(self.tables["registry"] == registry, "the table of the registry is wrong")
        self.note(len(self.tables["tree"]) == len(self.events), "rows of the tree too many")
        self.note(self.tables["meta"] == {b"format": u32(1), b"txn": written}, "meta is wrong")

    def origin(self):
        return "provenv/%s/%d" % (self.hashes[0][:16].hex(), self.generation)

    def vkey(self):
        key = b"\x01" + self.log_key
        name = self.origin()
        return "+".join((name, sha256(name.encode() + b"\n" + key)[:4].hex(),
                         base64.b64encode(key).decode()))


# ---- the tree (section 5) ----


def root(hashes):
    """RFC 6962, section 2.1, as it is written there."""
    if not hashes:
        return sha256(b"")
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\1" + root(hashes[:split]) + root(hashes[split:]))


def tree_row(hashes):
    """The roots of the subtrees that the last leaf completes."""
    size, width, row = len(hashes), 1, b""
    while size % width == 0:
        row += root(hashes[size - width :])
        width *= 2
    return row


# ---- the state (section 9) ----


def path(tag, *components):
    return b"\0".join(c if isinstance(c, bytes) else c.encode() for c in (tag,) + components)


class State:
    def __init__(self):
        self.entries = {}
        self.holders = {}  # (event, index of the change) -> (sealed, bytes), where it took effect
        self.violations = []

    def has(self, *names):
        return path(*names) in self.entries

    def below(self, *names):
        prefix = path(*names) + b"\0"
        return [key for key in self.entries if key.startswith(prefix)]

    def remove(self, *names):
        self.entries.pop(path(*names), None)

    def remove_below(self, *names):
        for key in self.below(*names):
            del self.entries[key]

    def take(self, events):
        """One whole command."""
        entries, holders = dict(self.entries), dict(self.holders)
        for event in events:
            broken = next((rule for rule in TYPES[event.type][1].split()
                           if not RULES[rule][1](self, event, event.payload)), None)
            if broken:
                self.entries, self.holders = entries, holders
                self.entries[path("violation", u64(event.seq))] = encode([RULES[broken][0]])
                self.violations.append([event.seq, broken])
                return
            EFFECTS[event.type](self, event, event.payload)

    def hash(self):
        digest = hashlib.blake2b(b"provenv/state/v1\0", digest_size=32)
        for key in sorted(self.entries):
            value = self.entries[key]
            digest.update(u32(len(key)) + key + u32(len(value)) + value)
        return digest.hexdigest()

    # -- what rules ask --

    def base_of(self, environment, name):
        return decode(self.entries[path("profile", environment, name)])[0]

    def base_is_acyclic(self, payload):
        name, at = payload.get("name"), payload.get("base", "")
        while at and at != name:
            at = self.base_of(payload.get("environment"), at)
        return at != name

    def base_is_unused(self, payload):
        return all(decode(self.entries[key])[0] != payload.get("name")
                   for key in self.below("profile", payload.get("environment")))

    def category_is_unused(self, payload):
        return all(decode(self.entries[key]).get("category") != payload.get("name")
                   for key in self.below("specification"))

    def next_generation(self, payload):
        known = [int.from_bytes(key[-8:], "big") for key in self.below("key", payload.get("name"))]
        return max(known, default=0) + 1

    def replacement(self, payload):
        """Phase and event that began it, of the last one of the database."""
        held = self.entries.get(path("replacement", *database_of(payload)))
        return decode(held)[:2] if held else (None, None)

    def goes_on(self, payload, phases):
        phase, started = self.replacement(payload)
        return phase in phases and started == payload.get("replacement")

    # -- what effects do --

    def put_environment(self, _, payload):
        self.entries[path("environment", payload.get("name"))] = encode(
            [payload.get("protected"), payload.get("title", Map()),
             payload.get("description", Map())])

    def create_environment(self, event, payload):
        name, profile = payload.get("name"), payload.get("profile")
        self.put_environment(event, payload)
        self.entries[path("profile", name, profile)] = encode(["", Map(), Map()])
        self.entries[path("active", name)] = profile.encode()

    def remove_environment(self, _, payload):
        for tag in ("environment", "active", "lock"):
            self.remove(tag, payload.get("name"))
        for tag in ("profile", "database", "replacement", "variable"):
            self.remove_below(tag, payload.get("name"))

    def put_profile(self, _, payload):
        self.entries[path("profile", *place(payload))] = encode(
            [payload.get("base", ""), payload.get("title", Map()),
             payload.get("description", Map())])

    def remove_profile(self, _, payload):
        self.remove("profile", *place(payload))
        for tag in ("database", "replacement", "variable"):
            self.remove_below(tag, *place(payload))

    def detach(self, _, payload):
        self.remove("database", *database_of(payload))
        self.remove("replacement", *database_of(payload))

    def remove_backup(self, _, payload):
        self.remove("backup", u64(payload.get("backup")))
        self.remove("backup_check", u64(payload.get("backup")))

    def replace(self, event, payload):
        self.put(encode([PHASES.index(event.type) + 1, payload.get("replacement", event.seq),
                         payload.get("safety", 0)]), "replacement", *database_of(payload))

    def put(self, value, *names):
        self.entries[path(*names)] = value

    def change_variables(self, event, payload):
        for index, change in enumerate(payload.get("changes")):
            key = path("variable", payload.get("environment"), change.get("profile"),
                       change.get("key"))
            if change.get("unset"):
                self.entries.pop(key, None)
                continue
            if change.get("copy"):
                sealed, held = self.holders[tuple(change.get("copy"))]
            elif change.get("seal"):
                sealed, held = self.holders[event.seq, index] = True, change.get("seal")[0]
            else:
                sealed, held = self.holders[event.seq, index] = False, change.get("set").encode()
            self.entries[key] = encode([change.get("expand", False), sealed, held])


PHASES = ["replacement.started", "replacement.staged", "replacement.completed",
          "replacement.failed", "replacement.undone"]


def database_of(payload):
    return payload.get("environment"), payload.get("profile"), payload.get("name")


def place(payload):
    return payload.get("environment"), payload.get("name")


def environment_of(payload):
    return payload.get("environment") or payload.get("name")


def profiles_of(event, payload):
    """The profiles that an event needs to exist."""
    if event.type == "variables.changed":
        return [change.get("profile") for change in payload.get("changes")]
    return [payload.get("profile") or payload.get("name")]


def active(state, *names):
    return state.entries.get(path("active", *names), b"").decode()


def changes(payload, what):
    return [change for change in payload.get("changes") if change.get(what)]


# Number, and what must hold, of state, event and payload.
RULES = {
    "environment-exists": (1, lambda s, e, p: s.has("environment", environment_of(p))),
    "environment-absent": (2, lambda s, e, p: not s.has("environment", environment_of(p))),
    "environment-inactive": (3, lambda s, e, p: active(s) != p.get("name")),
    "environment-locked": (4, lambda s, e, p: s.has("lock", p.get("name"))),
    "key-generation": (5, lambda s, e, p: p.get("generation") == s.next_generation(p)),
    "profile-exists": (6, lambda s, e, p: all(s.has("profile", p.get("environment"), name)
                                              for name in profiles_of(e, p))),
    "profile-absent": (7, lambda s, e, p: not s.has("profile", *place(p))),
    "profile-inactive": (8, lambda s, e, p: active(s, p.get("environment")) != p.get("name")),
    "base-exists": (9, lambda s, e, p: not p.get("base") or
                    s.has("profile", p.get("environment"), p.get("base"))),
    "base-acyclic": (10, lambda s, e, p: s.base_is_acyclic(p)),
    "base-unused": (11, lambda s, e, p: s.base_is_unused(p)),
    "category-exists": (12, lambda s, e, p: s.has("category", p.get("name"))
                        if e.type == "category.removed"
                        else not p.get("category") or s.has("category", p.get("category"))),
    "category-unused": (13, lambda s, e, p: s.category_is_unused(p)),
    "specification-exists": (14, lambda s, e, p: s.has("specification", p.get("key"))),
    "variable-set": (15, lambda s, e, p: all(
        s.has("variable", p.get("environment"), c.get("profile"), c.get("key"))
        for c in changes(p, "unset"))),
    "copy-target": (16, lambda s, e, p: all(
        c.get("copy")[0] < e.seq and tuple(c.get("copy")) in s.holders
        for c in changes(p, "copy"))),
    "target-older": (17, lambda s, e, p: 1 <= p.get("target_seq") < e.seq),
    "database-exists": (18, lambda s, e, p: s.has("database", p.get("environment"),
                                                  p.get("profile"), p.get("name"))),
    "backup-exists": (19, lambda s, e, p: all(
        s.has("backup", u64(p.get(field))) for field in ("backup", "safety")
        if p.get(field) is not None)),
    "replacement-idle": (20, lambda s, e, p: s.replacement(p)[0] not in (1, 2)),
    "replacement-unfinished": (21, lambda s, e, p: s.goes_on(p, (1, 2))),
    "replacement-last": (22, lambda s, e, p: s.goes_on(p, (1, 2, 3))),
}


def nothing(*_):
    pass


EFFECTS = {
    "store.created": nothing,
    "store.recovered": nothing,
    "state.rolled_back": nothing,
    "environment.created": State.create_environment,
    "environment.changed": State.put_environment,
    "environment.removed": State.remove_environment,
    "environment.switched": lambda s, e, p: s.put(p.get("name").encode(), "active"),
    "environment.locked": lambda s, e, p: s.put(encode([p.get("until_ms", 0)]), "lock",
                                                p.get("name")),
    "environment.unlocked": lambda s, e, p: s.remove("lock", p.get("name")),
    "environment.keyed": lambda s, e, p: s.put(encode(p), "key", p.get("name"),
                                               u64(p.get("generation"))),
    "profile.created": State.put_profile,
    "profile.changed": State.put_profile,
    "profile.removed": State.remove_profile,
    "profile.switched": lambda s, e, p: s.put(p.get("name").encode(), "active",
                                              p.get("environment")),
    "category.defined": lambda s, e, p: s.put(encode(p), "category", p.get("name")),
    "category.removed": lambda s, e, p: s.remove("category", p.get("name")),
    "variable.specified": lambda s, e, p: s.put(encode(p), "specification", p.get("key")),
    "variable.unspecified": lambda s, e, p: s.remove("specification", p.get("key")),
    "variables.changed": State.change_variables,
    "database.attached": lambda s, e, p: s.put(encode(p), "database", p.get("environment"),
                                               p.get("profile"), p.get("name")),
    "database.detached": State.detach,
    "database.moved": lambda s, e, p: s.put(encode(p), "database", *database_of(p)),
    "backup.created": lambda s, e, p: s.put(encode(p), "backup", u64(e.seq)),
    "backup.verified": lambda s, e, p: s.put(encode(p), "backup_check", u64(p.get("backup"))),
    "backup.removed": State.remove_backup,
    "replacement.started": State.replace,
    "replacement.staged": State.replace,
    "replacement.completed": State.replace,
    "replacement.failed": State.replace,
    "replacement.undone": State.replace,
    "action.refused": nothing,
}


def fold(events):
    """The state, and its hash after each command by the number of the command's last event."""
    state, hashes, command = State(), {}, []
    for event in events:
        command.append(event)
        if event.part == event.parts:
            state.take(command)
            hashes[event.seq] = state.hash()
            command = []
    return state, hashes


# ---- the answer ----


def read(name):
    try:
        log = Log(load(name))
        state, hashes = fold(log.events)
    except Refused as why:
        print(json.dumps({"problems": [str(why)]}))
        return 1
    print(json.dumps({
        "log_id": log.hashes[0][:16].hex(),
        "size": len(log.events),
        "root": root(log.hashes).hex(),
        "hash": log.hashes[-1].hex(),
        "origin": log.origin(),
        "vkey": log.vkey(),
        "environment": active(state),
        "state_hash": state.hash(),
        "state_hashes": hashes,
        "violations": state.violations,
        "types": sorted({event.type for event in log.events}),
        "problems": log.problems,
    }))
    return 1 if log.problems else 0


def main(arguments):
    if len(arguments) != 2 or arguments[0] not in ("dump", "read"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        if arguments[0] == "read":
            return read(arguments[1])
        dump(arguments[1])
    except (ImportError, OSError) as error:
        print("second_reader: %s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
