#!/usr/bin/env python3
"""A second, independent implementation of OpenSSF Model Signing v1.0 (methods key and certificate), for tests alone.

    oms.py sign FOLDER KEY.pem OUT.sig [SHARD_SIZE]      oms.py verify FOLDER PUBLIC.pem SIG
    oms.py vectors FOLDER                                (re)makes the vectors of this folder under fresh keys
"""
import base64
import datetime
import hashlib
import json
import pathlib
import sys

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE = "https://model_signing/signature/v1.0"
DEFAULT_IGNORED = [".git", ".gitattributes", ".github", ".gitignore"]
HASHES = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
NOW = 1_790_000_000  # 2026-09-21, the moment at which the certificate vectors are verified


def b64(data):
    return base64.b64encode(data).decode()


def pem_of(public_key):
    return public_key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def pae(payload, payload_type=PAYLOAD_TYPE):
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)


def resources_of(files, shard_size=None, hash_type="sha256", hasher=hashlib.sha256):
    """`files` maps relative paths to bytes; PurePosixPath sorts by component."""
    resources = []
    for path in sorted(files, key=pathlib.PurePosixPath):
        data = files[path]
        if shard_size is None:
            parts = [(path, data)]
        else:
            starts = range(0, len(data), shard_size)
            parts = [(f"{path}:{s}:{min(s + shard_size, len(data))}", data[s : s + shard_size]) for s in starts]
        for name, part in parts:
            resources.append({"name": name, "algorithm": hash_type, "digest": hasher(part).hexdigest()})
    return resources


def statement(resources, name="model", method="files", hash_type="sha256", **extra):
    root = hashlib.sha256(b"".join(bytes.fromhex(r["digest"]) for r in resources)).hexdigest()
    serialization_ = {"method": method, "hash_type": hash_type, "allow_symlinks": False, **extra}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": root}}],
        "predicateType": PREDICATE,
        "predicate": {"serialization": serialization_, "resources": resources},
    }


def encode(value):
    return json.dumps(value, indent=2, ensure_ascii=False).encode()


def sign_pae(key, payload, payload_type=PAYLOAD_TYPE, hash_=None):
    return key.sign(pae(payload, payload_type), ec.ECDSA(hash_ or HASHES[key.curve.key_size]))


def bundle(key, payload, material=None, signature=None, media_type=MEDIA_TYPE, payload_type=PAYLOAD_TYPE):
    hint = hashlib.sha256(pem_of(key.public_key())).hexdigest()
    return {
        "mediaType": media_type,
        "verificationMaterial": {**(material or {"publicKey": {"hint": hint}}), "tlogEntries": []},
        "dsseEnvelope": {
            "payload": b64(payload),
            "payloadType": payload_type,
            "signatures": [{"sig": b64(signature or sign_pae(key, payload, payload_type)), "keyid": ""}],
        },
    }


def read_folder(folder, ignored):
    root = pathlib.Path(folder)
    files = {}
    for path in root.rglob("*"):
        relative = path.relative_to(root)
        if any(relative == pathlib.PurePosixPath(i) or pathlib.PurePosixPath(i) in relative.parents for i in ignored):
            continue
        if path.is_symlink():
            raise ValueError(f"symbolic link {relative}")
        if path.is_file():
            files[str(relative)] = path.read_bytes()
    return files


def sign(folder, key_path, out, shard_size=None):
    key = serialization.load_pem_private_key(pathlib.Path(key_path).read_bytes(), None)
    files = read_folder(folder, DEFAULT_IGNORED)
    if shard_size is None:
        value = statement(resources_of(files), ignore_paths=DEFAULT_IGNORED)
    else:
        parts = resources_of(files, shard_size)
        value = statement(parts, method="shards", shard_size=shard_size, ignore_paths=DEFAULT_IGNORED)
    pathlib.Path(out).write_text(json.dumps(bundle(key, encode(value))))


def verify(folder, public_path, signature_path):
    key = serialization.load_pem_public_key(pathlib.Path(public_path).read_bytes())
    value = json.loads(pathlib.Path(signature_path).read_text())
    assert value["mediaType"] == MEDIA_TYPE, "media type"
    material = value["verificationMaterial"]
    if "publicKey" in material:
        assert material["publicKey"]["hint"] == hashlib.sha256(pem_of(key)).hexdigest(), "hint"
    else:
        first = base64.b64decode(material["x509CertificateChain"]["certificates"][0]["rawBytes"])
        assert pem_of(x509.load_der_x509_certificate(first).public_key()) == pem_of(key), "certificate"
    envelope = value["dsseEnvelope"]
    assert envelope["payloadType"] == PAYLOAD_TYPE, "payload type"
    payload = base64.b64decode(envelope["payload"], validate=True)
    signature = base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
    key.verify(signature, pae(payload), ec.ECDSA(HASHES[key.curve.key_size]))
    signed = json.loads(payload)
    assert signed["_type"] == "https://in-toto.io/Statement/v1" and signed["predicateType"] == PREDICATE, "type"
    options = signed["predicate"]["serialization"]
    files = read_folder(folder, DEFAULT_IGNORED + options.get("ignore_paths", []))
    again = resources_of(files, options.get("shard_size"))
    assert again == signed["predicate"]["resources"], "resources"
    assert statement(again)["subject"][0]["digest"] == signed["subject"][0]["digest"], "root digest"


# Vectors -----------------------------------------------------------------------------------------------------------------------


def certificate(subject, key, issuer, issuer_key, authority, usage="digital_signature", purpose=None, days=(0, 3650)):
    moment = datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).replace(tzinfo=None)
    name = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - datetime.timedelta(days=30) + datetime.timedelta(days=days[0]))
        .not_valid_after(moment - datetime.timedelta(days=30) + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(authority, None), True)
    )
    if usage is not None:
        names = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign encipher_only decipher_only"
        builder = builder.add_extension(x509.KeyUsage(**{n: n == usage for n in names.split()}), True)
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), False)
    return builder.sign(issuer_key, hashes.SHA256())


def chain_material(*certificates):
    raw = [{"rawBytes": b64(c.public_bytes(serialization.Encoding.DER))} for c in certificates]
    return {"x509CertificateChain": {"certificates": raw}}


def vectors(folder):
    p256, p384, p521, other = (ec.generate_private_key(c()) for c in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1, ec.SECP256R1))
    pem = lambda key: pem_of(key.public_key()).decode()
    files = {"config.json": b"{}\n", "weights/a.bin": bytes(range(40)), "weights/b.bin": b"", "weights-2.bin": b"two"}
    text = {path: {"base64": b64(data)} for path, data in files.items()}
    plain = statement(resources_of(files), ignore_paths=DEFAULT_IGNORED)
    payload = encode(plain)

    def write(kind, name, comment, value, key=p256, **fields):
        body = value if isinstance(value, str) else json.dumps(value)
        vector = {"comment": comment, "bundle": body, "trust": {"publicKeys": [pem(key)]}, "model": {"kind": "folder", "name": "model", "files": text}}
        vector.update(fields)
        path = pathlib.Path(folder) / kind / f"{name}.json"
        path.write_text(json.dumps(vector, indent=2, ensure_ascii=False) + "\n")

    def valid(name, comment, value, key=p256, **fields):
        write("valid", name, comment, value, key, **fields)

    def refused(name, comment, reasons, value, key=p256, **fields):
        write("invalid", name, comment, value, key, reasons=reasons, **fields)

    def broken(name, comment, error, value, key=p256, **fields):
        write("invalid", name, comment, value, key, error=error, **fields)

    def altered(change):
        value = json.loads(json.dumps(plain))
        change(value)
        return encode(value)

    def rooted(resources, **extra):
        return encode(statement(resources, **extra))

    # Valid
    for name, key in (("p256", p256), ("p384", p384), ("p521", p521)):
        valid(f"key-{name}", f"method key on {name}; the hash follows the curve; 'weights/…' sorts before 'weights-2.bin', by component", bundle(key, payload), key)
    for version in ("0.1", "0.2", "0.3"):
        valid(f"media-type-{version}", "the older form of the media type", bundle(p256, payload, media_type=f"application/vnd.dev.sigstore.bundle+json;version={version}"))
    url_safe = bundle(p256, payload)
    for holder, field in ((url_safe["dsseEnvelope"], "payload"), (url_safe["dsseEnvelope"]["signatures"][0], "sig")):
        holder[field] = holder[field].replace("+", "-").replace("/", "_").rstrip("=")
    valid("base64-url-safe", "DSSE allows the URL-safe alphabet", url_safe)
    for name, keyid in (("absent", None), ("null", "null")):
        value = bundle(p256, payload)
        value["dsseEnvelope"]["signatures"][0]["keyid"] = None
        if keyid is None:
            del value["dsseEnvelope"]["signatures"][0]["keyid"], value["verificationMaterial"]["tlogEntries"]
        valid(f"keyid-{name}", "keyid is optional, and so is an empty list of log entries", value)
    raw = {"publicKey": {"rawBytes": b64(pem_of(p256.public_key())), "keyDetails": "PKIX_ECDSA_P256_SHA_256"}}
    valid("key-raw-bytes", "before OMS 1.1 the key itself stood in the bundle; it must be one the reader trusts", bundle(p256, payload, raw))
    blake = dict(hash_type="blake2b")
    valid("blake2b", "the optional file hash; the root digest stays SHA-256", bundle(p256, rooted(resources_of(files, hasher=hashlib.blake2b, **blake), **blake)))
    shards = resources_of(files, 16)
    valid("shards", "16-byte shards; the empty file has none", bundle(p256, rooted(shards, method="shards", shard_size=16)))
    old_name = dict(hash_type="sha256-sharded-16")
    valid("shards-old-hash-name", "OMS 1.0 wrote the shard size into the hash's name", bundle(p256, rooted(resources_of(files, 16, **old_name), method="shards", shard_size=16, **old_name)))
    by_name = sorted(shards, key=lambda r: r["name"])
    valid("shards-sorted-as-text", "another signer's order: the root digest is over the order listed", bundle(p256, rooted(by_name, method="shards", shard_size=16)))
    single = {"kind": "file", "name": "model.onnx", "files": {"model.onnx": {"base64": b64(b"onnx")}}}
    valid("single-file", "one file under its own name", bundle(p256, rooted(resources_of({"model.onnx": b"onnx"}))), model=single)
    valid("single-file-dot", "one file named '.', as OMS 0.3 to 1.0 wrote it", bundle(p256, rooted(resources_of({".": b"onnx"}))), model=single)
    extra = {**single, "kind": "folder", "files": {**single["files"], "cache/x": {"base64": ""}, ".gitignore": {"base64": ""}, "notes.txt": {"base64": ""}}}
    ignoring = rooted(resources_of({"model.onnx": b"onnx"}), ignore_paths=["cache/", "/elsewhere", "../up"])
    valid("ignored-paths", "cache by the signer, .gitignore by OMS, notes.txt by the reader", bundle(p256, ignoring), model=extra, ignorePaths=["notes.txt"])
    valid("ignore-unsigned-files", "the reader accepts what the signature does not list", bundle(p256, rooted(resources_of({"model.onnx": b"onnx"}))), model=extra, ignoreUnsignedFiles=True)
    odd = {"模型 ü.bin": b"1", "a:b:c": b"2", "sub/.env": b"3"}
    odd_text = {"kind": "folder", "name": "model", "files": {p: {"base64": b64(d)} for p, d in odd.items()}}
    valid("odd-names", "Unicode, colons, blanks and dots in names", bundle(p256, rooted(resources_of(odd))), model=odd_text)
    valid("odd-names-shards", "a colon in the path of a shard", bundle(p256, rooted(resources_of(odd, 8), method="shards", shard_size=8)), model=odd_text)
    valid("unknown-fields", "OMS tells verifiers to ignore fields they do not know in the predicate", bundle(p256, altered(lambda s: (s["predicate"].update(note=1), s["predicate"]["resources"][0].update(uri="x")))))
    valid("second-trusted-key", "the hint chooses among the trusted keys", bundle(p256, payload), trust={"publicKeys": [pem(p384), pem(p256)]})

    root_key, middle_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate("Root", root_key, "Root", root_key, True, "key_cert_sign")
    middle = certificate("Middle", middle_key, "Root", root_key, True, "key_cert_sign")
    code = ExtendedKeyUsageOID.CODE_SIGNING
    leaf = certificate("Publisher", p384, "Middle", middle_key, False, purpose=code)
    root_pem = root.public_bytes(serialization.Encoding.PEM).decode()
    trusting = lambda c=root, at=NOW: {"roots": [c.public_bytes(serialization.Encoding.PEM).decode()], "atSeconds": at}
    signed_by = lambda *chain, key=p384: bundle(key, payload, chain_material(*chain))
    valid("certificate", "leaf, intermediate; the root is the reader's", signed_by(leaf, middle), trust=trusting())
    valid("certificate-with-root", "the root travels too, in any order", signed_by(leaf, root, middle), trust=trusting())
    usage_only = certificate("Publisher", p384, "Middle", middle_key, False)
    valid("certificate-usage-only", "digitalSignature alone says that the key signs", signed_by(usage_only, middle), trust=trusting())
    self_signed = certificate("Self", p384, "Self", p384, False, purpose=code)
    valid("certificate-self-signed", "the reader trusts this very certificate", signed_by(self_signed), trust=trusting(self_signed))
    valid("certificate-middle-trusted", "an intermediate may be the reader's trust root", signed_by(leaf, middle), trust=trusting(middle))

    # Refused
    refused("wrong-key", "the hint names a key the reader does not trust", ["wrong-key"], bundle(p256, payload), other)
    liar = bundle(p256, payload, {"publicKey": {"hint": hashlib.sha256(pem_of(other.public_key())).hexdigest()}})
    refused("lying-hint", "the hint names the trusted key, the signature is another key's", ["signature-invalid"], liar, other)
    der = p256.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    refused("hint-of-der", "the hint is over the DER, not the PEM text", ["wrong-key"], bundle(p256, payload, {"publicKey": {"hint": hashlib.sha256(der).hexdigest()}}))
    raw_other = {"publicKey": {"rawBytes": b64(pem_of(other.public_key()))}}
    refused("raw-bytes-of-stranger", "a key in the bundle proves nothing", ["wrong-key"], bundle(other, payload, raw_other))
    refused("payload-altered", "one digit of the signed statement changed", ["signature-invalid"], bundle(p256, payload.replace(b'"model"', b'"modex"'), signature=sign_pae(p256, payload)))
    refused("hash-of-another-curve", "P-384 with SHA-256", ["signature-invalid"], bundle(p384, payload, signature=sign_pae(p384, payload, hash_=hashes.SHA256())), p384)
    r, s = utils.decode_dss_signature(sign_pae(p256, payload))
    refused("signature-raw", "r and s side by side are not ASN.1 DER", ["signature-invalid"], bundle(p256, payload, signature=r.to_bytes(32, "big") + s.to_bytes(32, "big")))
    refused("signature-without-pae", "signed without the pre-authentication encoding", ["signature-invalid"], bundle(p256, payload, signature=p256.sign(payload, ec.ECDSA(hashes.SHA256()))))
    faulty = f"DSSEV1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} {payload}".encode()
    refused("faulty-pae", "what OMS before 1.0 signed", ["faulty-pae"], bundle(p256, payload, signature=p256.sign(faulty, ec.ECDSA(hashes.SHA256()))))
    refused("unknown-version", "a bundle of the future", ["unknown-version"], bundle(p256, payload, media_type="application/vnd.dev.sigstore.bundle.v0.4+json"))
    refused("payload-type", "signed, but not as an in-toto statement", ["unsupported-predicate"], bundle(p256, payload, payload_type="application/json"))
    refused("predicate-type", "signed, but not as a model", ["unsupported-predicate"], bundle(p256, altered(lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"))))
    refused("predicate-type-slash", "the predicate type is exact", ["unsupported-predicate"], bundle(p256, altered(lambda s: s.update(predicateType=PREDICATE + "/"))))
    refused("legacy-predicate", "the predicate of OMS 0.2, soundly signed", ["legacy-predicate"], bundle(p256, altered(lambda s: s.update(predicateType="https://model_signing/Digests/v0.1"))))
    refused("statement-type", "in-toto Statement v0.1", ["unsupported-predicate"], bundle(p256, altered(lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"))))
    refused("method-unknown", "a serialization this version does not know", ["unsupported-serialization"], bundle(p256, rooted(resources_of(files), method="tensors")))
    refused("hash-blake3", "an optional hash this product cannot compute", ["unsupported-hash"], bundle(p256, rooted(resources_of(files, hash_type="blake3"), hash_type="blake3")))
    refused("root-digest", "the subject is not over the resources", ["root-digest-mismatch"], bundle(p256, altered(lambda s: s["subject"][0]["digest"].update(sha256="0" * 64))))
    refused("reader-brings-root-for-key", "method key, but the reader brought authorities", ["unsupported-method"], bundle(p256, payload), trust=trusting())
    refused("reader-brings-key-for-certificate", "method certificate, but the reader brought a key", ["unsupported-method"], signed_by(leaf, middle), p384)
    change = lambda **new: {"kind": "folder", "name": "model", "files": {**text, **{k.replace("__", "/").replace("_", "."): v for k, v in new.items()}}}
    refused("file-altered", "one byte of a file", ["digest-mismatch"], bundle(p256, payload), model=change(config_json={"base64": b64(b"{}\r")}))
    refused("file-added", "a file nobody signed", ["unsigned-file"], bundle(p256, payload), model=change(evil_py={"base64": ""}))
    fewer = {"kind": "folder", "name": "model", "files": {p: d for p, d in text.items() if p != "weights-2.bin"}}
    refused("file-missing", "a signed file is gone", ["missing-file"], bundle(p256, payload), model=fewer)
    refused("file-missing-unsigned-ignored", "accepting unsigned files accepts no missing ones", ["missing-file"], bundle(p256, payload), model=fewer, ignoreUnsignedFiles=True)
    refused("file-ignored-and-altered", "a signed file is verified even when the reader ignores it", ["digest-mismatch"], bundle(p256, payload), model=change(config_json={"base64": b64(b"{}\r")}), ignorePaths=["config.json"])
    refused("file-moved", "renamed is missing and unsigned", ["missing-file", "unsigned-file"], bundle(p256, payload), model={**fewer, "files": {**fewer["files"], "weights-3.bin": text["weights-2.bin"]}})
    refused("git-below-the-top", "only the top of the folder is left out", ["unsigned-file"], bundle(p256, payload), model={"kind": "folder", "name": "model", "files": {**text, "weights/.git/config": {"base64": ""}}})
    longer = {"kind": "folder", "name": "model", "files": {**text, "weights/a.bin": {"base64": b64(bytes(range(41)))}}}
    refused("shards-file-longer", "bytes behind the last shard", ["digest-mismatch"], bundle(p256, rooted(shards, method="shards", shard_size=16)), model=longer)

    expired = certificate("Publisher", p384, "Middle", middle_key, False, purpose=code, days=(-400, -200))
    refused("certificate-expired", "the signer's certificate ran out before the verification", ["certificate-expired"], signed_by(expired, middle), trust=trusting())
    refused("certificate-not-yet-valid", "verified before the certificate begins", ["certificate-not-yet-valid"], signed_by(leaf, middle), trust=trusting(at=NOW - 40 * 86400))
    old_middle = certificate("Middle", middle_key, "Root", root_key, True, "key_cert_sign", days=(-400, -200))
    refused("certificate-middle-expired", "an authority on the path ran out", ["certificate-untrusted"], signed_by(leaf, old_middle), trust=trusting())
    stranger = certificate("Root", other, "Root", other, True, "key_cert_sign")
    refused("certificate-wrong-root", "another authority of the same name", ["certificate-untrusted"], signed_by(leaf, middle), trust=trusting(stranger))
    refused("certificate-gap", "the intermediate is missing", ["certificate-untrusted"], signed_by(leaf), trust=trusting())
    refused("certificate-own-root", "a root inside the bundle is trusted for nothing", ["certificate-untrusted"], signed_by(leaf, middle, root), trust=trusting(stranger))
    no_authority = certificate("Middle", middle_key, "Root", root_key, False, "key_cert_sign")
    refused("certificate-middle-no-authority", "the issuer is an end entity", ["certificate-untrusted"], signed_by(leaf, no_authority), trust=trusting())
    tls = certificate("Publisher", p384, "Middle", middle_key, False, purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    refused("certificate-for-tls", "a web server's certificate", ["certificate-usage"], signed_by(tls, middle), trust=trusting())
    agrees = certificate("Publisher", p384, "Middle", middle_key, False, "key_agreement", code)
    refused("certificate-key-usage", "its key usage lacks digitalSignature", ["certificate-usage"], signed_by(agrees, middle), trust=trusting())
    silent = certificate("Publisher", p384, "Middle", middle_key, False, None)
    refused("certificate-without-usage", "nothing says that this key signs", ["certificate-usage"], signed_by(silent, middle), trust=trusting())
    refused("certificate-of-another-key", "the certificate is not the signer's", ["signature-invalid"], bundle(p256, payload, chain_material(leaf, middle)), trust=trusting())

    # Broken
    sound = bundle(p256, payload)
    invalid = "signature-bundle-invalid"
    text_of = json.dumps(sound)
    broken("empty", "no bytes", "json-invalid", "")
    broken("truncated", "cut short", "json-invalid", text_of[:-10])
    broken("trailing", "bytes behind the bundle", "json-invalid", text_of + "{}")
    broken("array", "not an object", invalid, "[]")
    def without(*path):
        value = json.loads(text_of)
        holder = value
        for step in path[:-1]:
            holder = holder[step]
        del holder[path[-1]]
        return value
    broken("no-envelope", "nothing is signed", invalid, without("dsseEnvelope"))
    broken("no-material", "nothing says by whom", invalid, without("verificationMaterial", "publicKey"))
    broken("no-signature", "no signature", invalid, {**sound, "dsseEnvelope": {**sound["dsseEnvelope"], "signatures": []}})
    broken("two-signatures", "a sigstore bundle has exactly one", invalid, {**sound, "dsseEnvelope": {**sound["dsseEnvelope"], "signatures": sound["dsseEnvelope"]["signatures"] * 2}})
    broken("two-materials", "a key and a chain", invalid, bundle(p256, payload, {**chain_material(leaf), "publicKey": {"hint": ""}}))
    broken("message-signature", "the other kind of sigstore bundle", invalid, {**without("dsseEnvelope"), "messageSignature": {"signature": ""}})
    broken("base64-spare-bits", "two texts for one value", "encoding-invalid", {**sound, "dsseEnvelope": {**sound["dsseEnvelope"], "payload": "QQ==".replace("QQ", "QR")}})
    broken("certificate-garbage", "not a certificate", "certificate-invalid", bundle(p256, payload, {"x509CertificateChain": {"certificates": [{"rawBytes": "AAAA"}]}}), trust=trusting())
    def listing(name, comment, change, error=invalid, **extra):
        parts = json.loads(json.dumps(resources_of(files) if "shard_size" not in extra else shards))
        change(parts)
        broken(name, comment, error, bundle(p256, rooted(parts, **extra)))
    sharded = dict(method="shards", shard_size=16)
    rename = lambda name: lambda parts: parts[0].update(name=name)
    listing("path-parent", "out of the folder", rename("../config.json"), "model-path-invalid")
    listing("path-absolute", "out of the folder", rename("/etc/passwd"), "model-path-invalid")
    listing("path-not-plain", "one file, two names", rename("./config.json"), "model-path-invalid")
    listing("path-empty", "no name", rename(""), "model-path-invalid")
    listing("path-nul", "cut at the NUL by some readers", rename("config.json\0.txt"), "model-path-invalid")
    listing("path-dot-of-many", "'.' is for a single file", rename("."))
    listing("file-twice", "which of the two?", lambda parts: parts.append(parts[0]))
    listing("digest-upper-case", "one value, one text", lambda parts: parts[0].update(digest=parts[0]["digest"].upper()))
    listing("digest-short", "not a SHA-256", lambda parts: parts[0].update(digest="00" * 31))
    listing("algorithm-differs", "a resource with a hash of its own", lambda parts: parts[0].update(algorithm="blake2b"))
    listing("shards-gap", "bytes nobody signed", lambda parts: parts.pop(1), **sharded)
    listing("shards-twice", "bytes signed twice", lambda parts: parts.append(parts[1]), **sharded)
    listing("shards-huge-offset", "a size that would take for ever to list", rename("config.json:0:9007199254740991"), **{**sharded, "shard_size": 1})
    listing("shards-leading-zero", "one number, one text", rename("config.json:00:3"), "model-path-invalid", **sharded)
    broken("resources-empty", "a signature over nothing", invalid, bundle(p256, rooted([])))
    broken("serialization-missing", "nothing says how the files were read", invalid, bundle(p256, altered(lambda s: s["predicate"].pop("serialization"))))
    broken("shard-size-missing", "shards of what size?", invalid, bundle(p256, rooted(shards, method="shards")))
    broken("shard-size-of-files", "whole files have no shard size", invalid, bundle(p256, rooted(resources_of(files), shard_size=16)))
    broken("two-subjects", "which model?", invalid, bundle(p256, altered(lambda s: s["subject"].append(s["subject"][0]))))
    broken("duplicate-key", "readers differ on which of two keys wins", invalid, bundle(p256, payload.replace(b'"predicate": {', b'"predicate": {}, "predicate": {', 1)))
    broken("duplicate-key-escaped", "the same key, written with an escape", invalid, bundle(p256, payload.replace(b'"predicate": {', b'"predicat\\u0065": {}, "predicate": {', 1)))
    broken("payload-not-json", "signed, but not JSON", "json-invalid", bundle(p256, b"hello"))
    broken("payload-not-utf8", "signed, but not text", "encoding-invalid", bundle(p256, b'{"_type": "\xff"}'))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["sign", folder, key, out]:
            sign(folder, key, out)
        case ["sign", folder, key, out, shard_size]:
            sign(folder, key, out, int(shard_size))
        case ["verify", folder, public, signature]:
            try:
                verify(folder, public, signature)
            except (AssertionError, InvalidSignature) as error:
                sys.exit(f"does not verify: {error!r}")
        case ["vectors", folder]:
            vectors(folder)
        case _:
            sys.exit(__doc__)
