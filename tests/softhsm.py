"""A house of SoftHSM tokens for tests: own folder, own configuration, real PKCS#11 calls, nothing mocked.

What SoftHSM does not do by itself is done to it from outside: flags of the PIN are set in the file of the token, and a
session is lost by closing it through the same library, as a driver does when the token is pulled out.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from signer.devpki import DevIdentity

LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
PIN, SO_PIN = "mau-4271", "so-mau-88"
FLAGS = {"low": 0x10000, "final": 0x20000, "locked": 0x40000}
CKA_OS_TOKENFLAGS = (0x8000534B).to_bytes(8, "big") + (2).to_bytes(8, "big")


def library() -> str | None:
    """Return where SoftHSM's library lies, ``None`` without it or its program."""
    found = next((path for path in LIBRARIES if Path(path).is_file()), None)
    return found if shutil.which("softhsm2-util") else None


def missing() -> str | None:
    """Return why tests with tokens cannot run here."""
    try:
        import pkcs11  # noqa: F401  # the extra may be missing
    except ImportError:
        return "the extra hsm is not installed"
    return None if library() else "SoftHSM is not installed"


@dataclass
class House:
    """A folder of tokens. ``module`` is the library; ``SOFTHSM2_CONF`` points into the folder."""

    folder: Path
    module: str
    made: list[str] = field(default_factory=list)

    @classmethod
    def build(cls, folder: Path) -> House:
        """Make an empty house and let the library look into it."""
        module = library()
        assert module is not None
        (folder / "tokens").mkdir(parents=True)
        (folder / "softhsm2.conf").write_text(
            f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        house = cls(folder, module)
        house.enter()
        return house

    @property
    def conf(self) -> Path:
        """The configuration file."""
        return self.folder / "softhsm2.conf"

    def enter(self) -> None:
        """Let this process's library see the tokens as they are on the disk now: every session ends."""
        import pkcs11

        os.environ["SOFTHSM2_CONF"] = str(self.conf)
        pkcs11.lib(self.module).reinitialize()

    def token(self, label: str, *, pin: str = PIN) -> str:
        """Make a token and return its serial number."""
        before = {path.name for path in (self.folder / "tokens").iterdir()}
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", pin]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "SOFTHSM2_CONF": str(self.conf)})
        self.enter()
        made = next(path.name for path in (self.folder / "tokens").iterdir() if path.name not in before)
        return made.replace("-", "")[-16:]

    def store(
        self,
        serial: str,
        identity: DevIdentity,
        *,
        id: bytes = b"\x01",
        label: str = "ky",
        certificate: bool = True,
        hidden: bool = False,
        public: bool = True,
        always: bool = False,
        chain: bool = False,
        pin: str = PIN,
    ) -> None:
        """Put a key, and what belongs to it, on a token; ``hidden`` certificates are seen after the login only."""
        from pkcs11 import Attribute
        from pkcs11.util.ec import decode_ec_private_key, decode_ec_public_key
        from pkcs11.util.rsa import decode_rsa_private_key, decode_rsa_public_key

        is_rsa = identity.credential.key_type == "RSA"
        private = identity.key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        key = decode_rsa_private_key(private) if is_rsa else decode_ec_private_key(private)
        common = {Attribute.TOKEN: True, Attribute.ID: id, Attribute.LABEL: label}
        session = self._token(serial).open(rw=True, user_pin=pin)
        try:
            session.create_object({**key, **common, Attribute.PRIVATE: True, Attribute.ALWAYS_AUTHENTICATE: always})
            if public:
                form = serialization.PublicFormat.PKCS1 if is_rsa else serialization.PublicFormat.SubjectPublicKeyInfo
                encoded = identity.credential.public_key.public_bytes(serialization.Encoding.DER, form)
                decoded = decode_rsa_public_key(encoded) if is_rsa else decode_ec_public_key(encoded)
                session.create_object({**decoded, **common, Attribute.PRIVATE: False})
            if certificate:
                self._put(session, identity.certificate, id=id, label=label, hidden=hidden)
            for number, der in enumerate(identity.chain if chain else ()):
                self._put(session, der, id=bytes([0xC0 + number]), label=f"ca{number}", hidden=hidden)
        finally:
            session.close()

    def put_certificate(self, serial: str, der: bytes, *, id: bytes = b"\x01", label: str = "ky") -> None:
        """Put a certificate alone on a token."""
        session = self._token(serial).open(rw=True, user_pin=PIN)
        try:
            self._put(session, der, id=id, label=label, hidden=False)
        finally:
            session.close()

    @staticmethod
    def _put(session, der: bytes, *, id: bytes, label: str, hidden: bool) -> None:  # type: ignore[no-untyped-def]
        from pkcs11 import Attribute, CertificateType, ObjectClass

        session.create_object(
            {
                Attribute.TOKEN: True,
                Attribute.LABEL: label,
                Attribute.CLASS: ObjectClass.CERTIFICATE,
                Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
                Attribute.ID: id,
                Attribute.SUBJECT: x509.load_der_x509_certificate(der).subject.public_bytes(),
                Attribute.VALUE: der,
                Attribute.PRIVATE: hidden,
            }
        )

    def _token(self, serial: str):  # type: ignore[no-untyped-def]  # a class of the library
        import pkcs11

        return next(one for one in pkcs11.lib(self.module).get_tokens() if one.serial.decode() == serial)

    def mark(self, serial: str, state: str) -> None:
        """Set a flag of the PIN in the token's file (low, final, locked), as a card sets it in its own memory."""
        file = next(
            path for path in (self.folder / "tokens").glob("*/token.object") if serial.encode() in path.read_bytes()
        )
        data = bytearray(file.read_bytes())
        at = data.index(CKA_OS_TOKENFLAGS) + len(CKA_OS_TOKENFLAGS)
        flags = int.from_bytes(data[at : at + 8], "big") | FLAGS[state]
        data[at : at + 8] = flags.to_bytes(8, "big")
        file.write_bytes(data)
        self.enter()

    def pull_out(self, serial: str) -> None:
        """Close every session with a token through the library, as its driver does when the token is pulled out."""
        slot = self._token(serial).slot.slot_id
        assert ctypes.CDLL(self.module).C_CloseAllSessions(ctypes.c_ulong(slot)) == 0

    def remove(self, serial: str) -> None:
        """Take the token's memory away while it is in use."""
        for path in (self.folder / "tokens").iterdir():
            if path.name.replace("-", "").endswith(serial):
                shutil.rmtree(path)
