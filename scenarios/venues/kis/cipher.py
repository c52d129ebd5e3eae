"""AES-256-CBC with PKCS#7 padding and base64, as execution notices are sent.

Rule: key and iv are ASCII texts used as bytes, one pair per registration, no iv per message.
"""

import base64
import hashlib

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7


def encrypt(text: str, key: str, iv: str) -> str:
    """Return the base64 text of ``text`` under a key of 32 and an iv of 16 ASCII characters."""
    padder = PKCS7(128).padder()
    padded = padder.update(text.encode()) + padder.finalize()
    encryptor = Cipher(AES(key.encode()), CBC(iv.encode())).encryptor()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def secret_text(length: int, *names: object) -> str:
    """Return ``length`` hex characters that depend on the names only."""
    text = "/".join(map(str, names))
    parts = [
        hashlib.sha256(f"{text}/{number}".encode()).hexdigest()
        for number in range(-(-length // 64))
    ]
    return "".join(parts)[:length]
