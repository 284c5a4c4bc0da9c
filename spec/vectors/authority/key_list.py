"""Makes the vectors of spec/vectors/authority/key-list (spec/key-list.md), independently of the product's code.

python3 spec/vectors/authority/key_list.py

Keys have 32 equal bytes as seed (Ed25519) or scalar (P-256). ECDSA signatures differ with each run.
"""
import base64
import datetime
import hashlib
import json
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509.oid import NameOID

FOLDER = pathlib.Path(__file__).parent / "key-list"
NOW = 1_800_000_000
YEAR = 31_536_000
DAY = 86_400
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def p256(seed):
    return ec.derive_private_key(int.from_bytes(bytes([seed] * 32), "big"), ec.SECP256R1())


def log(seed):
    return ed25519.Ed25519PrivateKey.from_private_bytes(bytes([seed] * 32))


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def vkey(name, key):
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    data = bytes([1]) + raw
    number = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4].hex()
    return f"{name}+{number}+{base64.b64encode(data).decode()}"


def certificate(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Edgekeep root")])
    start = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(start).not_valid_after(start.replace(year=2046))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
    return builder.sign(key, hashes.SHA256())


ROOT, OTHER_ROOT = p256(31), p256(32)
CERTIFICATE, OTHER_CERTIFICATE = certificate(ROOT), certificate(OTHER_ROOT)
HUB = vkey("hub.example/audit", log(1))


def listed(purpose, key, **change):
    entry = {
        "compromised": False,
        "from": NOW - YEAR,
        "key": base64url(spki(key)),
        "origin": "hub.example/audit" if purpose == "log" else None,
        "purpose": purpose,
        "until": None,
    }
    return {**entry, **change}


LOG = listed("log", log(1))
RESULT = listed("attestation-result", p256(5))
BACKUP = listed("backup", p256(6))
NEXT_LOG = listed("log", log(8), origin="hub.example/audit/2", **{"from": NOW})
ENDED = {**RESULT, "until": NOW, "compromised": True}


def content(number, keys, **change):
    base = {"type": "edgekeep-key-list/v1", "hub": HUB, "number": number, "keys": keys}
    return {**base, "issuedAt": NOW, "validUntil": NOW + YEAR, **change}


def signed(value, context=b"edgekeep-key-list/v1\n", key=ROOT, by=CERTIFICATE, twin=False, raw=None):
    data = canonical(value) if raw is None else raw
    signature = key.sign(context + data, ec.ECDSA(hashes.SHA256()))
    if twin:
        r, s = decode_dss_signature(signature)
        signature = encode_dss_signature(r, ORDER - s)
    digest = hashlib.sha256(by.public_bytes(serialization.Encoding.DER)).hexdigest()
    file = {
        "type": "edgekeep-signed-key-list/v1",
        "list": base64url(data),
        "root": digest,
        "signature": base64url(signature),
    }
    return canonical(file).decode()


FIRST = content(1, [LOG, RESULT])
SECOND = content(2, [LOG, ENDED, NEXT_LOG])
KNOWN = signed(SECOND)


def write(name, comment, expect, offered, known=KNOWN, pinned=None):
    vector = {
        "comment": comment,
        "roots": CERTIFICATE.public_bytes(serialization.Encoding.PEM).decode(),
        "pinned": HUB if pinned is None else pinned,
        "known": known,
        "now": NOW,
        "list": offered,
        "expect": expect,
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(vector, indent=2, ensure_ascii=False) + "\n")


def refused(name, comment, offered, **more):
    write(f"refused-{name}", comment, "refused", offered, **more)


def invalid(name, comment, offered, **more):
    write(f"invalid-{name}", comment, "key-list-invalid", offered, known=None, **more)


def main():
    for old in FOLDER.glob("*.json"):
        old.unlink()
    third = [LOG, ENDED, NEXT_LOG]
    write("newer-first", "the first list of a reader that knows its pinned log key only", "newer", signed(FIRST), known=None)
    write("newer-after", "a later list in which a key got its end and another was added", "newer", signed(SECOND), known=signed(FIRST))
    write("newer-backup", "a key for backups is added", "newer", signed(content(3, [*third, BACKUP])))
    never = {**BACKUP, "until": BACKUP["from"], "compromised": True}
    write("newer-never-counted", "a prepared key was stolen: it ends in the second in which it begins", "newer", signed(content(3, [*third, never])))
    sooner = {**ENDED, "until": NOW - DAY}
    write("newer-sooner-end", "an end is moved ahead", "newer", signed(content(3, [LOG, sooner, NEXT_LOG])))
    write("unchanged", "the known list again", "unchanged", KNOWN)
    write("unchanged-other-signature", "the known list under the other spelling of its signature, s as n - s", "unchanged", signed(SECOND, twin=True))
    write("newer-limits", "dated 300 seconds ahead, and valid for 1096 days", "newer", signed(content(3, third, issuedAt=NOW + 300, validUntil=NOW + 300 + 1096 * DAY)))

    refused("no-root", "signed by a root that the reader does not trust", signed(content(3, third), key=OTHER_ROOT, by=OTHER_CERTIFICATE))
    refused("other-root-key", "names the trusted root, signed by another key", signed(content(3, third), key=OTHER_ROOT))
    refused("other-context", "the root signed the bytes without the context", signed(content(3, third), context=b""))
    refused("rolled-back", "a lower number than the known one", signed(FIRST))
    refused("same-number", "another list with the known number", signed(content(2, [LOG, ENDED])))
    refused("other-hub", "the list of another hub under the same root", signed(content(3, third, hub=vkey("other.example/audit", log(9)))))
    refused("key-missing", "a known key is not on it", signed(content(3, [LOG, NEXT_LOG])))
    refused("other-purpose", "a known key got another purpose", signed(content(3, [LOG, {**ENDED, "purpose": "backup"}, NEXT_LOG])))
    refused("other-origin", "a known log got another origin", signed(content(3, [LOG, ENDED, {**NEXT_LOG, "origin": "hub.example/audit/3"}])))
    refused("other-beginning", "a known key begins earlier", signed(content(3, [{**LOG, "from": 0}, ENDED, NEXT_LOG])))
    refused("later-end", "an end is moved behind", signed(content(3, [LOG, {**ENDED, "until": NOW + 1}, NEXT_LOG])))
    refused("end-taken-back", "an end is taken back", signed(content(3, [LOG, {**ENDED, "until": None, "compromised": False}, NEXT_LOG])))
    refused("theft-taken-back", "a compromised key is not compromised any more", signed(content(3, [LOG, {**ENDED, "compromised": False}, NEXT_LOG])))
    refused("future", "dated 301 seconds ahead", signed(content(3, third, issuedAt=NOW + 301)))
    refused("too-old", "its end is this second", signed(content(3, third, validUntil=NOW)))
    refused("too-long", "valid for 1096 days and a second", signed(content(3, third, validUntil=NOW + 1096 * DAY + 1)))
    refused("not-pinned", "a first list without the log key that the reader was delivered with", signed(FIRST), known=None, pinned=vkey("hub.example/audit", log(9)))

    invalid("key-twice", "one key for two purposes", signed(content(1, [LOG, RESULT, {**RESULT, "purpose": "command"}])))
    invalid("origin-twice", "two logs with one origin", signed(content(1, [LOG, {**NEXT_LOG, "origin": LOG["origin"]}])))
    invalid("unknown-purpose", "a purpose that is not in the table", signed(content(1, [LOG, {**RESULT, "purpose": "anything"}])))
    invalid("log-without-origin", "a log key without an origin", signed(content(1, [{**LOG, "origin": None}])))
    invalid("origin-of-another", "a key of another purpose with an origin", signed(content(1, [LOG, {**RESULT, "origin": "hub.example/x"}])))
    invalid("end-before-beginning", "a key ends before it begins", signed(content(1, [{**LOG, "until": NOW - YEAR - 1}])))
    invalid("compromised-without-end", "a compromised key without an end", signed(content(1, [{**LOG, "compromised": True}])))
    invalid("no-keys", "an empty list of keys", signed(content(1, [])))
    invalid("number-zero", "number 0 is no list", signed(content(0, [LOG])))
    invalid("unknown-member", "a member that is not on the page", signed({**FIRST, "more": 1}))
    spaced = json.dumps(FIRST, sort_keys=True).encode()
    write("invalid-white-space", "the bytes are no canonical JSON", "json-not-canonical", signed(FIRST, raw=spaced), known=None)


main()
