#!/usr/bin/env python3
"""Verify a checkpoint (C2SP tlog-checkpoint) in a signed note (C2SP signed-note).

Written from the specifications and RFC 8032 alone, with nothing but Python's standard library, so
that it can disagree with the program whose checkpoints it checks.

    verify_note.py VKEY NOTEFILE    print "ok <origin> <size> <base64 root>" and exit 0, or say why
                                    not on standard error and exit 1; NOTEFILE may be "-"
    verify_note.py --selftest       check this verifier itself
"""

import base64
import binascii
import hashlib
import re
import sys

MAX_BYTES = 16 * 1024
MAX_SIGNATURES = 16
ED25519 = 1


class Refused(Exception):
    """The note or the key is not to be trusted; the text says why."""


# ---- Ed25519 (RFC 8032, section 5.1): points as (x, y) on -x^2 + y^2 = 1 + d x^2 y^2 mod P ----

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def recover_x(y, sign):
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_M1 % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def decode_point(data):
    """Extended coordinates of 32 bytes, or None; only the canonical encoding is accepted."""
    number = int.from_bytes(data, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    x = recover_x(y, sign) if y < P else None
    return None if x is None else (x, y, 1, x * y % P)


def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def same_point(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


NEUTRAL = (0, 1, 1, 0)
BASE = decode_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519_verify(public_key, message, signature):
    """Strict: canonical encodings, a reduced scalar, no points of low order."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    key, commitment = decode_point(public_key), decode_point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= L:
        return False
    if same_point(multiply(8, key), NEUTRAL) or same_point(multiply(8, commitment), NEUTRAL):
        return False
    digest = hashlib.sha512(signature[:32] + public_key + message).digest()
    challenge = int.from_bytes(digest, "little") % L
    return same_point(multiply(scalar, BASE), add(commitment, multiply(challenge, key)))


# ---- signed-note ----


def decode_base64(text):
    """Standard alphabet, padded, and the one canonical spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def is_key_name(name):
    return name != "" and "+" not in name and not any(char.isspace() for char in name)


def key_id(name, key):
    return hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]


def parse_vkey(vkey):
    """(name, public key) of NAME+HASH+KEY."""
    parts = vkey.split("+", 2)
    if len(parts) != 3 or not is_key_name(parts[0]):
        raise Refused("the verifier key is not NAME+HASH+KEY")
    name, hexadecimal, key = parts[0], parts[1], decode_base64(parts[2])
    if key is None or len(key) != 33 or key[0] != ED25519:
        raise Refused("the verifier key is not an Ed25519 key")
    if hexadecimal != key_id(name, key).hex():
        raise Refused("the verifier key does not fit its own hash")
    return name, key[1:]


def split_note(data):
    """(text, signature lines), split at the last blank line."""
    if len(data) > MAX_BYTES:
        raise Refused("the note is too long")
    try:
        note = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("the note is not UTF-8") from error
    if any(char < " " and char != "\n" for char in note):
        raise Refused("the note holds control characters")
    end = note.rfind("\n\n")
    if end < 0 or end + 2 == len(note) or not note.endswith("\n"):
        raise Refused("the note has no signature lines, or does not end with a newline")
    return note[: end + 1], note[end + 2 : -1].split("\n")


def parse_signature(line):
    """(name, key id, signature) of one line."""
    parts = line.split(" ")
    blob = decode_base64(parts[2]) if len(parts) == 3 else None
    if blob is None or parts[0] != "\u2014" or not is_key_name(parts[1]) or len(blob) < 5:
        raise Refused("a signature line is malformed")
    return parts[1], blob[:4], blob[4:]


def open_note(vkey, data):
    """The text of the note, signed by the key; every line of that key must verify."""
    name, public_key = parse_vkey(vkey)
    text, lines = split_note(data)
    if len(lines) > MAX_SIGNATURES:
        raise Refused("the note has too many signatures")
    ours = key_id(name, bytes([ED25519]) + public_key)
    verified = False
    for who, which, signature in [parse_signature(line) for line in lines]:
        if (who, which) != (name, ours):
            continue
        if not ed25519_verify(public_key, text.encode(), signature):
            raise Refused("the signature of " + name + " is wrong")
        verified = True
    if not verified:
        raise Refused("the note is not signed by " + name)
    return text


def open_checkpoint(vkey, data):
    """(origin, size, base64 root); the origin must be the name of the key."""
    lines = open_note(vkey, data)[:-1].split("\n")
    if len(lines) != 3:
        raise Refused("the text is not the three lines of a checkpoint")
    origin, size, root = lines
    if origin != vkey.split("+", 1)[0]:
        raise Refused("the origin is not the name of the key")
    if not re.fullmatch("0|[1-9][0-9]*", size) or int(size) >= 2**64:
        raise Refused("the size is not a number")
    if len(decode_base64(root) or b"") != 32:
        raise Refused("the root is not the base64 of 32 bytes")
    return origin, int(size), root


# ---- selftest ----

# RFC 8032, section 7.1: tests 1, 2, 3 and SHA(abc), as (public key, message, signature).
RFC8032 = [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf"
     "9b46b"
     "d25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f"
     "11d8c"
     "387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984"
     "dc659"
     "4a7c15e9716ed28dc027beceea1ec40a"),
    ("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c6643"
     "1e030"
     "3dca179c138ac17ad9bef1177331a704"),
]

# A key and note that Go's note package publishes, and a checkpoint of Tessera's test log.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdng"
    "otpRZb6KE6Ry"
    "yBwJnAM=\n"
)
LOG = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
LOG_TEXT = "example.com/log/testdata\n7\nIrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7U=\n"
LOG_LINE = (
    "\u2014 example.com/log/testdata M9e0luA5JhTRUki/BBQD0QNiH6AEJ2pdtsA5CQjqJErViuuKrN6513RCTL26"
    "40wXJv0dCed3"
    "neRGI6dMzBq9uANf2Qc=\n"
)
WRONG_LINE = (
    "\u2014 example.com/log/testdata M9e0lhxJACzE1KoUdqKuPa+9p6R7dSW8BlEvrg/noo8FkGg6PbJoRNOcdjqj"
    "Oq89wVvTA60e"
    "ubCc4oufo5BvIVEgtQc=\n"
)
OTHER_LINE = (
    "\u2014 EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnW"
    "Lox33WWd1RvMc"
    "+QQ=\n"
)


def expect(condition, what):
    """Not an assert: those vanish under -O."""
    if not condition:
        raise SystemExit("selftest failed: " + what)


def expect_refused(vkey, note, what):
    try:
        open_checkpoint(vkey, note if isinstance(note, bytes) else note.encode())
    except Refused:
        return
    raise SystemExit("selftest failed, accepted: " + what)


def selftest_ed25519():
    for number, vector in enumerate(RFC8032):
        key, message, signature = (bytes.fromhex(part) for part in vector)
        expect(ed25519_verify(key, message, signature), "RFC 8032 vector %d" % number)
        expect(not ed25519_verify(key, message + b"\0", signature), "longer message")
        for bit in range(0, 512, 37):
            wrong = bytearray(signature)
            wrong[bit // 8] ^= 1 << bit % 8
            expect(not ed25519_verify(key, message, bytes(wrong)), "bit %d" % bit)
        scalar = int.from_bytes(signature[32:], "little") + L
        malleable = signature[:32] + scalar.to_bytes(32, "little")
        expect(not ed25519_verify(key, message, malleable), "scalar not reduced")
    low_order = bytes([1]) + bytes(31)
    expect(not ed25519_verify(low_order, b"", low_order + bytes(32)), "key of low order")
    expect(decode_point((P + 1).to_bytes(32, "little")) is None, "non-canonical point")


def selftest_notes():
    expect(open_note(PETER, PETER_NOTE.encode()).endswith("your problem is.\n"), "Go's note")
    note = LOG_TEXT + "\n" + LOG_LINE
    answer = ("example.com/log/testdata", 7, "IrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7U=")
    expect(open_checkpoint(LOG, note.encode()) == answer, "Tessera's checkpoint")
    expect(open_checkpoint(LOG, (note + OTHER_LINE).encode()) == answer, "an unknown key beside")
    expect(open_checkpoint(LOG, (note + OTHER_LINE * 15).encode()) == answer, "16 signatures")
    expect_refused(LOG, note + OTHER_LINE * 16, "17 signatures")
    expect_refused(LOG, note + WRONG_LINE, "a wrong signature of the known key beside a right one")
    expect_refused(LOG, LOG_TEXT + "\n" + OTHER_LINE, "only an unknown key")
    expect_refused(LOG, LOG_TEXT, "no signature")
    expect_refused(LOG, note[:-1], "no newline at the end")
    expect_refused(LOG, note.replace("\n", "\r\n"), "carriage returns")
    expect_refused(LOG, LOG_TEXT + "more\n\n" + LOG_LINE, "an extension line")
    expect_refused(LOG, note + "\n" + LOG_LINE, "two blank lines")
    expect_refused(LOG, note.replace("\n7\n", "\n07\n"), "a leading zero")
    expect_refused(LOG, note.replace("\n7\n", "\n8\n"), "another size")
    expect_refused(LOG, b"\xff" + note.encode(), "not UTF-8")
    expect_refused(PETER, PETER_NOTE, "a note that is no checkpoint")
    expect_refused(PETER, note, "another key")
    for position in range(len(LOG)):
        mangled = LOG[:position] + chr(ord(LOG[position]) + 1) + LOG[position + 1 :]
        expect_refused(mangled, note, "verifier key mangled at %d" % position)


def main(arguments):
    if arguments == ["--selftest"]:
        selftest_ed25519()
        selftest_notes()
        print("ok selftest")
        return 0
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    vkey, path = arguments
    try:
        if path == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        print("ok %s %d %s" % open_checkpoint(vkey, data))
    except (Refused, OSError) as error:
        print("verify_note: %s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
