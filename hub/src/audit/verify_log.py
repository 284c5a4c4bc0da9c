"""A second reader of tiled logs, written from the specifications alone (RFC 6962, c2sp.org/tlog-tiles, signed-note, tlog-proof,
tlog-cosignature): the oracle of log-oracle.system.test.ts. It shares no code with the product and keeps to the recursive definitions.

Usage: verify_log.py FOLDER LOG_VKEY [PROOF_FILE WITNESS_VKEY]. Prints the tree size and the root in hex; exits 1 when anything is wrong.
"""

import base64
import hashlib
import pathlib
import struct
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def sha256(data):
    return hashlib.sha256(data).digest()


def tree_hash(leaves):
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + tree_hash(leaves[:split]) + tree_hash(leaves[split:]))


def audit_path(index, leaves):
    if len(leaves) <= 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return audit_path(index, leaves[:split]) + [tree_hash(leaves[split:])]
    return audit_path(index - split, leaves[split:]) + [tree_hash(leaves[:split])]


def open_note(note, vkey):
    """Verifies one Ed25519 signature (type 1) or cosignature (type 4) and returns the text."""
    name, key_id, encoded = vkey.split("+", 2)
    typed = base64.b64decode(encoded, validate=True)
    assert sha256(name.encode() + b"\n" + typed)[:4].hex() == key_id, "key id"
    text, signatures = note.rsplit("\n\n", 1)
    text += "\n"
    for line in signatures.splitlines():
        mark, signer, blob = line.split(" ")
        raw = base64.b64decode(blob, validate=True)
        if (mark, signer, raw[:4].hex()) != ("—", name, key_id):
            continue
        key = Ed25519PublicKey.from_public_bytes(typed[1:])
        if typed[0] == 1:
            key.verify(raw[4:], text.encode())
        else:
            (seconds,) = struct.unpack(">Q", raw[4:12])
            key.verify(raw[12:], f"cosignature/v1\ntime {seconds}\n{text}".encode())
        return text
    raise AssertionError(f"no signature by {name}")


def head(text):
    origin, size, root = text.splitlines()[:3]
    return origin, int(size), base64.b64decode(root, validate=True)


def read_tile(folder, kind, index, width):
    digits = str(index)
    digits = digits.zfill((len(digits) + 2) // 3 * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
    return (folder / "tile" / kind / (path + ("" if width == 256 else f".p/{width}"))).read_bytes()


def read_entries(folder, size):
    entries = []
    for start in range(0, size, 256):
        width = min(256, size - start)
        bundle = read_tile(folder, "entries", start // 256, width)
        for _ in range(width):
            (length,) = struct.unpack(">H", bundle[:2])
            entries.append(bundle[2 : 2 + length])
            bundle = bundle[2 + length :]
        assert not bundle, "bytes after the bundle"
    return entries


def main(folder, vkey, proof_file=None, witness=None):
    folder = pathlib.Path(folder)
    origin, size, root = head(open_note((folder / "checkpoint").read_text(), vkey))
    assert origin == vkey.split("+")[0], "origin"
    leaves = [sha256(b"\x00" + entry) for entry in read_entries(folder, size)]
    assert tree_hash(leaves) == root, "root"

    # Every tile of every level is made of the definitions: MTH(D[i * 256**l : (i + 1) * 256**l]).
    row, level = leaves, 0
    while row:
        for start in range(0, len(row), 256):
            hashes = row[start : start + 256]
            assert read_tile(folder, str(level), start // 256, len(hashes)) == b"".join(hashes), f"level {level}"
        row = [tree_hash(row[at : at + 256]) for at in range(0, len(row) - 255, 256)]
        level += 1

    if proof_file is not None:
        proof = pathlib.Path(proof_file).read_text()
        lines, checkpoint = proof.split("\n\n", 1)
        first, index, *hashes = lines.splitlines()
        assert first == "c2sp.org/tlog-proof@v1", "proof"
        text = open_note(checkpoint, vkey)
        assert open_note(checkpoint, witness) == text, "witness"
        _, proven, proven_root = head(text)
        assert tree_hash(leaves[:proven]) == proven_root, "older root"
        expected = audit_path(int(index.removeprefix("index ")), leaves[:proven])
        assert [base64.b64decode(each) for each in hashes] == expected, "inclusion proof"
    print(size, root.hex())


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    main(*sys.argv[1:])
