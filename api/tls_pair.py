"""A self-signed TLS pair for the API, so that it can be reached off loopback before there is a real certificate."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from api.errors import CommandError
from api.key_files import write_private

__all__ = ["TlsPair", "make_tls_pair"]

LIFE = timedelta(days=397)


@dataclass(frozen=True, slots=True)
class TlsPair:
    """Two files and what a browser shows of the certificate."""

    certificate: Path
    key: Path
    sha256: str


def make_tls_pair(folder: Path, host: str, at: datetime) -> TlsPair:
    """Write `tls.crt` and `tls.key` for `host` and this machine's own names; raises `CommandError` where they exist."""
    certificate_file, key_file = folder / "tls.crt", folder / "tls.key"
    if certificate_file.exists() or key_file.exists():
        raise CommandError(f"`{certificate_file}` or its key exists; remove both to make a new pair")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Fairtap, self-signed")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + LIFE)
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    return TlsPair(certificate_file, key_file, certificate.fingerprint(hashes.SHA256()).hex(":"))


def _names(host: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    address = ipaddress.ip_address(host)
    if not address.is_unspecified and str(address) != "127.0.0.1":
        names.append(x509.IPAddress(address))
    return names
