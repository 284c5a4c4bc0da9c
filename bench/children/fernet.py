# A peer of bench/seal.ts: a whole file as one Fernet token. `fernet.py seal|open KEY IN OUT`; the key is 32 raw bytes.
import base64
import sys

from cryptography.fernet import Fernet

verb, key_path, source, target = sys.argv[1:5]
with open(key_path, "rb") as file:
    fernet = Fernet(base64.urlsafe_b64encode(file.read()))
with open(source, "rb") as file:
    data = file.read()
data = fernet.encrypt(data) if verb == "seal" else fernet.decrypt(data)
with open(target, "wb") as file:
    file.write(data)
