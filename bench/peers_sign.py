"""Other programs that sign PDF and CMS, for the benchmark of signing: pyHanko, endesive, openssl.

endesive is not installed with the project: ``EDOC_BENCH_ENDESIVE`` names a Python that has it, and that process
measures itself. openssl starts anew for each file, and signs what it is given as it stands (it knows no PDF).
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from measure import Figure, figure, processor
from measure import measure as measured

from signer.devpki import DevIdentity, pem

measure = partial(measured, clock=processor)
PASSPHRASE = b"edoc"
ENDESIVE = """
import json, sys, time, types
sys.modules["certvalidator"] = types.ModuleType("certvalidator")  # verifies, and fails with newer OpenSSL
from cryptography.hazmat.primitives.serialization import pkcs12
from endesive import pdf
data, bundle = open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read()
key, certificate, others = pkcs12.load_key_and_certificates(bundle, b"edoc")
said = {"aligned": 0, "sigflags": 3, "sigflagsft": 132, "sigpage": 0, "signingdate": "D:20261120023000+00'00'"}
times = []
for run in range(int(sys.argv[3]) + 1):
    start = time.process_time()
    signed = data + pdf.cms.sign(data, dict(said), key, certificate, others, "sha256")
    times.append((time.process_time() - start) * 1000)
assert b"/ByteRange" in signed[len(data):]
print(json.dumps(times[1:]))
"""


@dataclass(frozen=True)
class Peers:
    """The signer's key as files, and a place for files."""

    identity: DevIdentity
    folder: Path

    @classmethod
    def of(cls, identity: DevIdentity) -> Peers:
        """Write key and certificates."""
        folder = Path(tempfile.mkdtemp(prefix="edoc-bench-"))
        plain = identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "key.pem").write_bytes(plain)
        (folder / "leaf.pem").write_bytes(pem(identity.certificate))
        (folder / "both.pem").write_bytes(plain + pem(identity.certificate))
        (folder / "chain.pem").write_bytes(b"".join(map(pem, identity.credential.chain)))
        (folder / "key.p12").write_bytes(identity.pkcs12(PASSPHRASE))
        return cls(identity, folder)

    def close(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.folder)

    def pyhanko(self, data: bytes, *, key: str) -> Callable[[], object]:
        """Let stock pyHanko sign as its manual says.

        ``key`` is ``loaded`` (from files, for each document), ``kept`` (its own signer, made once: it decodes and
        checks the key for every value all the same) or ``held`` (a signer that holds the key, which it allows).
        """
        from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
        from pyhanko.sign import signers
        from pyhanko.sign.fields import SigSeedSubFilter

        secret = self.identity.key

        class Held(signers.SimpleSigner):
            async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
                assert digest_algorithm == "sha256"
                return secret.sign(data, PKCS1v15(), SHA256())  # type: ignore[call-arg, arg-type, union-attr]

        names = [str(self.folder / name) for name in ("key.pem", "leaf.pem", "chain.pem")]

        def load() -> signers.SimpleSigner:
            found = signers.SimpleSigner.load(names[0], names[1], ca_chain_files=(names[2],))
            assert isinstance(found, signers.SimpleSigner)
            return found

        known = load()
        if key == "held":
            known = Held(known.signing_cert, known.signing_key, known.cert_registry)

        def work() -> object:
            said = signers.PdfSignatureMetadata(
                field_name="Signature1", md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES
            )
            signer = signers.PdfSigner(said, signer=load() if key == "loaded" else known)
            writer = IncrementalPdfFileWriter(io.BytesIO(data))
            return asyncio.run(signer.async_sign_pdf(writer)).getbuffer().nbytes

        return work

    def openssl(self, data: bytes) -> Callable[[], object] | None:
        """Let openssl sign the octets of the file."""
        if not shutil.which("openssl"):
            return None
        source, target = self.folder / "file", self.folder / "file.p7s"
        source.write_bytes(data)
        words = ["openssl", "cms", "-sign", "-binary", "-cades", "-md", "sha256", "-outform", "DER"]
        words += ["-signer", str(self.folder / "both.pem"), "-certfile", str(self.folder / "chain.pem")]
        words += ["-in", str(source), "-out", str(target)]
        return lambda: subprocess.run(words, check=True, capture_output=True)

    def endesive(self, name: str, data: bytes, *, runs: int, floor: float) -> Figure | None:
        """Let endesive sign, in a process of its own with the key held."""
        python = os.environ.get("EDOC_BENCH_ENDESIVE")
        if not python:
            return None
        source = self.folder / "file"
        source.write_bytes(data)
        words = [python, "-W", "ignore", "-c", ENDESIVE, str(source), str(self.folder / "key.p12"), str(runs)]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
        return figure(name, json.loads(done.stdout.splitlines()[-1]), floor=floor)

    def all(self, name: str, data: bytes, *, runs: int, floor: float) -> list[Figure]:
        """Measure every peer there is on one file."""
        found = [
            measure(f"{name}.pyhanko-{key}", self.pyhanko(data, key=key), runs=runs, floor=floor)
            for key in ("held", "kept", "loaded")
        ]
        openssl = self.openssl(data)
        if openssl is not None:
            found.append(measure(f"{name}.openssl-cms", openssl, runs=runs, floor=floor))
        endesive = self.endesive(f"{name}.endesive", data, runs=runs, floor=floor)
        return [*found, endesive] if endesive is not None else found
