"""Certificates made for a test: an authority, and what it signs."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from liqscape.config import TlsFiles


@dataclass(frozen=True)
class Authority:
    """A certificate authority of one test."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, *, valid_days: tuple[int, int] = (-1, 30)) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("test authority")
        builder = _builder(name, name, key, valid_days).add_extension(x509.BasicConstraints(True, None), critical=True)
        return cls(key, builder.sign(key, hashes.SHA256()))

    def write(self, path: Path) -> Path:
        path.write_bytes(_pem(self.certificate))
        return path

    def issue(self, folder: Path, name: str = "server", *, valid_days: tuple[int, int] = (-1, 30)) -> TlsFiles:
        """Write NAME.crt and NAME.key for 127.0.0.1, for servers and clients."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = _builder(_name(name), self.certificate.subject, key, valid_days)
        certificate = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(
            self.key, hashes.SHA256()
        )
        files = TlsFiles(folder / f"{name}.crt", folder / f"{name}.key")
        files.certificate.write_bytes(_pem(certificate))
        files.key.write_bytes(_key_pem(key, serialization.NoEncryption()))
        return files


def write_encrypted_key(path: Path) -> None:
    """Write a key that needs a passphrase."""
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(_key_pem(key, serialization.BestAvailableEncryption(b"secret")))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, valid_days: tuple[int, int]
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=valid_days[0]))
        .not_valid_after(now + timedelta(days=valid_days[1]))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey, encryption: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
