"""The key pair of the sandbox's Google service account: made once per state folder, worthless anywhere else."""

import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.sandbox import credentials

KEY_FILE = "google-service-account.pem"
KEY_ID = "sandbox-key-1"


def private_key(directory: Path) -> str:
    """The account's private key, PEM."""
    file = directory / KEY_FILE
    if not file.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        unfinished = file.with_suffix(".writing")
        unfinished.write_bytes(text)
        unfinished.rename(file)
    return file.read_text()


def public_key(directory: Path) -> str:
    """The key Google would verify assertions with, PEM."""
    key = serialization.load_pem_private_key(private_key(directory).encode(), password=None)
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def service_account_json(directory: Path, url: str) -> str:
    """What Google's console would hand out as the account's credentials file."""
    return json.dumps(
        {
            "type": "service_account",
            "project_id": credentials.GA4_PROJECT,
            "private_key_id": KEY_ID,
            "private_key": private_key(directory),
            "client_email": credentials.GA4_CLIENT_EMAIL,
            "client_id": "100000000000000000001",
            "token_uri": f"{url}/google/token",
        }
    )
