"""TLS for the emulator: a certificate of its own for loopback, made for one run and trusted by nobody else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Tls:
    """Where the certificate lies, and what its clients must be told."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        return self.folder / "server-key.pem"

    @property
    def bundle(self) -> Path:
        """The public roots and our certificate: a client that trusts this reaches the emulator and everybody else."""
        return self.folder / "trusted.pem"

    def environment(self) -> dict[str, str]:
        """Variables by which AWS SDKs, Python's ``ssl``, requests and Node trust the emulator."""
        bundle = str(self.bundle)
        return {
            "AWS_CA_BUNDLE": bundle,
            "SSL_CERT_FILE": bundle,
            "REQUESTS_CA_BUNDLE": bundle,
            "NODE_EXTRA_CA_CERTS": str(self.certificate),
        }

    def make(self) -> None:
        """Write key, certificate and bundle; the key is readable by this user only."""
        import certifi

        from avskrift.local.certificate import make_certificate

        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key, certificate = make_certificate()
        descriptor = os.open(self.key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(key)
        self.certificate.write_bytes(certificate)
        self.bundle.write_bytes(certifi.contents().encode() + b"\n" + certificate)
