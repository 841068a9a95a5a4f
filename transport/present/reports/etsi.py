"""The validation report of ETSI TS 119 102-2 as XML, unsigned: one entry a signature, then the objects used (R69).

Elements are those of the schema ``http://uri.etsi.org/19102/v1.2.1#`` in its order. Parts of a file have entries of
their own. What the schema has no word for stands in ``AdditionalValidationReportData`` under ``urn:edoc:report:``.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lxml import etree

from signer.report import Covers, Evidence, Indication, Integrity, Report, SignatureReport, Timestamp
from transport.present.text import sanitise
from transport.present.verify import Checked, Judgement, reasons_of

NAMESPACE = "http://uri.etsi.org/19102/v1.2.1#"
DS = "http://www.w3.org/2000/09/xmldsig#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_MAIN = "urn:etsi:019102:mainindication:"
_SUB = "urn:etsi:019102:subindication:"
_OBJECT = "urn:etsi:019102:validationObject:"
_OWN = "urn:edoc:report:"
_KINDS = {"certificate": "certificate", "crl": "CRL", "ocsp": "OCSPResponse", "token": "timestamp"}
_PREFIXES = {"certificate": "C", "crl": "R", "ocsp": "O", "token": "T"}
_INDICATIONS = {
    Indication.PASSED: "total-passed",
    Indication.FAILED: "total-failed",
    Indication.INDETERMINATE: "indeterminate",
}
_LATER = {Integrity.INTACT: "passed", Integrity.BROKEN: "failed", Integrity.UNKNOWN: "indeterminate"}
_SIGNATURES = {
    ("RSASSA-PKCS1-v1_5", "SHA-256"): "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    ("RSASSA-PKCS1-v1_5", "SHA-384"): "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    ("RSASSA-PKCS1-v1_5", "SHA-512"): "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    ("RSASSA-PKCS1-v1_5", "SHA-1"): "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
    ("RSASSA-PSS", "SHA-256"): "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
    ("RSASSA-PSS", "SHA-384"): "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
    ("RSASSA-PSS", "SHA-512"): "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
    ("ECDSA", "SHA-256"): "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    ("ECDSA", "SHA-384"): "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    ("ECDSA", "SHA-512"): "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
    ("Ed25519", "SHA-512"): "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519",
}
_TIMES = {"timestamp": "validation", "archive-timestamp": "validation", "ledger": "provided"}


@dataclass(slots=True)
class _Objects:
    """The validation objects of a report, each once: by SHA-256, with the bytes where they are at hand."""

    known: dict[str, Evidence] = field(default_factory=dict)
    used: dict[str, tuple[str, str]] = field(default_factory=dict)  # identifier → kind, digest

    def learn(self, report: Report) -> None:
        """Note the bytes a judgement used."""
        for item in report.evidence:
            self.known.setdefault(hashlib.sha256(item.data).hexdigest(), item)
            self.refer(item.kind, hashlib.sha256(item.data).hexdigest())

    def refer(self, kind: str, digest: str) -> str:
        """Return the identifier of an object that is told by its SHA-256."""
        name = f"{_PREFIXES.get(kind, 'X')}-{digest}"
        self.used.setdefault(name, (kind, digest))
        return name


def report(files: Sequence[Checked], how: Judgement) -> bytes:
    """Return the report over all files, UTF-8 with an XML declaration."""
    root = etree.Element(_tag("ValidationReport"), nsmap={None: NAMESPACE, "ds": DS, "xades": XADES})
    objects = _Objects()
    for anchor in how.trusted:
        digest = hashlib.sha256(anchor.certificate).hexdigest()
        objects.known.setdefault(digest, Evidence("certificate", anchor.certificate, "store"))
    for number, (path, entry) in enumerate(_all(files), start=1):
        _file(root, f"F{number}", path, entry, (how, objects))
    _list(root, objects, how)
    data: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)
    return data


_Work = tuple[Judgement, _Objects]


def _all(files: Sequence[Checked]) -> Iterator[tuple[str, Checked]]:
    """Return every file with its parts, the parts under their paths as in JSON."""
    for file in files:
        yield file.path, file
        parts = file.report.parts if file.report is not None else ()
        yield from _all([Checked(f"{file.path}!/{name}", part) for name, part in parts])


def _file(root: etree._Element, mark: str, path: str, file: Checked, work: _Work) -> None:
    """Add one entry a signature; a file without any has an entry too, so that it is not lost."""
    if file.report is None or not file.report.signatures:
        _without(root, path, file, work)
        return
    work[1].learn(file.report)
    for number, signature in enumerate(file.report.signatures, start=1):
        _signature(root, f"{mark}-S{number}", path, (file.report, signature), work)


def _without(root: etree._Element, path: str, file: Checked, work: _Work) -> None:
    entry = _add(root, "SignatureValidationReport")
    _times(entry, work[0], None)
    if file.report is not None and file.report.sha256:
        _digest(_add(_add(entry, "SignersDocument"), "DigestAlgAndValue"), file.report.sha256)
    status = _add(entry, "SignatureValidationStatus")
    failed = file.report is not None and file.report.verdict.value == "invalid"
    _add(status, "MainIndication", _MAIN + ("total-failed" if failed else "indeterminate"))
    codes = [reason.code.value for reason in reasons_of(file.report)] if file.report is not None else ["UNREADABLE"]
    _more(_add(status, "AssociatedValidationReportData"), {"path": path, "reasons": " ".join(codes)})


def _signature(root: etree._Element, mark: str, path: str, found: tuple[Report, SignatureReport], work: _Work) -> None:
    report, signature = found
    how, objects = work
    entry = _add(root, "SignatureValidationReport")
    identifier = _add(entry, "SignatureIdentifier", id=mark)
    _digest(
        _add(identifier, "DigestAlgAndValue"), hashlib.sha256(f"{report.sha256}#{signature.id}".encode()).hexdigest()
    )
    _add(identifier, "HashOnly", "false")
    _add(identifier, "DocHashOnly", "false")
    _add(identifier, "DAIdentifier", sanitise(signature.id))
    _policy(entry, how)
    _times(entry, how, signature)
    if report.sha256:
        _digest(_add(_add(entry, "SignersDocument"), "DigestAlgAndValue"), report.sha256)
    _attributes(entry, signature, objects)
    _signer(entry, signature, objects)
    process = _add(entry, "SignatureValidationProcess")
    _add(process, "SignatureValidationProcessID", f"urn:etsi:019102:validationprocess:{_process(signature)}")
    _status(entry, path, found, work)


def _process(signature: SignatureReport) -> str:
    if any(stamp.kind == "archive" for stamp in signature.timestamps):
        return "LTA"
    return "LTVM" if signature.timestamps else "Basic"


def _policy(entry: etree._Element, how: Judgement) -> None:
    policy = _add(_add(entry, "ValidationConstraintsEvaluationReport"), "SignatureValidationPolicy")
    stated = etree.SubElement(_add(policy, "SignaturePolicyIdentifier"), f"{{{XADES}}}SignaturePolicyId")
    identifier = etree.SubElement(stated, f"{{{XADES}}}SigPolicyId")
    etree.SubElement(identifier, f"{{{XADES}}}Identifier").text = f"urn:edoc:policy:{how.policy}"
    table = how.algorithms[-1] if how.algorithms else hashlib.sha256(how.policy.encode()).hexdigest()
    _digest(etree.SubElement(stated, f"{{{XADES}}}SigPolicyHash"), table)
    _add(policy, "PolicyName", f"edoc {how.version} {how.policy}")


def _times(entry: etree._Element, how: Judgement, signature: SignatureReport | None) -> None:
    info = _add(entry, "ValidationTimeInfo")
    _add(info, "ValidationTime", _time(how.at))
    best = _add(info, "BestSignatureTime")
    _add(best, "POETime", _time(signature.best_signature_time if signature is not None else how.at))
    kind = _TIMES.get(signature.time_source, "validation") if signature is not None else "validation"
    _add(best, "TypeOfProof", f"urn:etsi:019102:poetype:{kind}")


def _attributes(entry: etree._Element, signature: SignatureReport, objects: _Objects) -> None:
    attributes = _add(entry, "SignatureAttributes")
    if signature.signing_time is not None:
        _add(_add(attributes, "SigningTime", Signed="true"), "Time", _time(signature.signing_time))
    if signature.signer.certificate_sha256:
        stated = _add(attributes, "SigningCertificate")
        _refer(stated, "AttributeObject", objects.refer("certificate", signature.signer.certificate_sha256))
        _digest(_add(stated, "CertID"), signature.signer.certificate_sha256)
    names = {"signature": "SignatureTimeStamp", "content": "AllDataObjectsTimeStamp", "archive": "ArchiveTimeStamp"}
    for stamp in signature.timestamps:
        if stamp.time is not None:
            _add(_add(attributes, names.get(stamp.kind, "SignatureTimeStamp")), "TimeStampValue", _time(stamp.time))
    if len(attributes) == 0:
        entry.remove(attributes)


def _signer(entry: etree._Element, signature: SignatureReport, objects: _Objects) -> None:
    if not signature.signer.certificate_sha256:
        return
    information = _add(entry, "SignerInformation", Pseudonym="false")
    _refer(information, "SignerCertificate", objects.refer("certificate", signature.signer.certificate_sha256))
    _add(information, "Signer", sanitise(signature.name or signature.signer.name or "-"))


def _status(entry: etree._Element, path: str, found: tuple[Report, SignatureReport], work: _Work) -> None:
    report, signature = found
    how, objects = work
    status = _add(entry, "SignatureValidationStatus")
    _add(status, "MainIndication", _MAIN + _INDICATIONS[signature.indication])
    if signature.sub_indication is not None:
        _add(status, "SubIndication", _SUB + signature.sub_indication.value)
    data = _add(status, "AssociatedValidationReportData")
    _chain(data, signature, objects)
    _revoked(data, signature, objects)
    _crypto(data, signature, objects)
    _more(data, _additional(path, report, signature, how))


def _chain(data: etree._Element, signature: SignatureReport, objects: _Objects) -> None:
    if not signature.chain:
        return
    links = [(link, objects.refer("certificate", link.sha256)) for link in signature.chain]
    anchor = links[-1][1] if links[-1][0].anchor else None
    if anchor is not None:
        _refer(data, "TrustAnchor", anchor)
    chain = _add(data, "CertificateChain")
    _refer(chain, "SigningCertificate", links[0][1])
    for _, name in links[1 : -1 if anchor else None]:
        _refer(chain, "IntermediateCertificate", name)
    if anchor is not None and len(links) > 1:
        _refer(chain, "TrustAnchor", anchor)


def _revoked(data: etree._Element, signature: SignatureReport, objects: _Objects) -> None:
    """Add the first revocation of the path; the schema has room for one."""
    for item in signature.revocation:
        if item.revoked_at is not None:
            stated = _add(data, "RevocationStatusInformation")
            _refer(stated, "ValidationObjectId", objects.refer("certificate", item.certificate_sha256))
            _add(stated, "RevocationTime", _time(item.revoked_at))
            if item.reason:
                _add(stated, "RevocationReason", f"urn:etsi:019102:revocationReason:{sanitise(item.reason)}")
            return


def _crypto(data: etree._Element, signature: SignatureReport, objects: _Objects) -> None:
    algorithm = signature.algorithm
    if algorithm is None or not signature.signer.certificate_sha256:
        return
    stated = _add(data, "CryptoInformation")
    _refer(stated, "ValidationObjectId", objects.refer("certificate", signature.signer.certificate_sha256))
    uri = _SIGNATURES.get((algorithm.signature, algorithm.digest))
    _add(stated, "Algorithm", uri or f"urn:edoc:algorithm:{_word(algorithm.signature)}:{_word(algorithm.digest)}")
    weak = any(reason.code.value.startswith("CRYPTO_CONSTRAINTS") for reason in signature.reasons)
    _add(stated, "SecureAlgorithm", "false" if weak else "true")


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)


def _additional(path: str, report: Report, signature: SignatureReport, how: Judgement) -> Mapping[str, str]:
    """Return what the schema has no word for: our three answers, the file, and every reason by its code."""
    said = {
        "path": path,
        "signature": signature.id,
        "integrity": signature.integrity.value,
        "crypto": signature.crypto.value,
        "covers": signature.covers.value,
        "later-changes": signature.later_changes.value,
        "level": signature.level,
        "kind": signature.kind,
        "time-source": signature.time_source,
        "file-verdict": report.verdict.value,
        "software": f"edoc {how.version}",
        "reasons": " ".join(reason.code.value for reason in signature.reasons),
        "warnings": " ".join(reason.code.value for reason in signature.warnings),
        "changes": "; ".join(
            f"{c.revision} {c.kind} {'allowed' if c.allowed else 'suspect'}" for c in signature.changes
        ),
    }
    if signature.covers is Covers.PARTIAL:
        said["covered"] = ", ".join(str(name) for name in signature.covered)
    said["timestamps"] = "; ".join(_stamp(stamp) for stamp in signature.timestamps)
    said["revocation"] = "; ".join(
        f"{item.certificate_sha256} {item.status} {item.method} {item.source or '-'} "
        f"{_time(item.this_update) if item.this_update else '-'}"
        for item in signature.revocation
    )
    return {name: value for name, value in said.items() if value}


def _stamp(stamp: Timestamp) -> str:
    time = _time(stamp.time) if stamp.time else "-"
    sub = f" {stamp.sub_indication.value}" if stamp.sub_indication else ""
    return f"{stamp.kind} {time} {_LATER[stamp.integrity]} {stamp.indication.value}{sub} {stamp.tsa or '-'}"


def _more(data: etree._Element, values: Mapping[str, str]) -> None:
    more = _add(data, "AdditionalValidationReportData")
    for name, value in values.items():
        item = _add(more, "ReportData")
        _add(item, "Type", _OWN + name)
        _add(item, "Value", sanitise(value))


def _list(root: etree._Element, objects: _Objects, how: Judgement) -> None:
    if not objects.used:
        return
    listed = _add(root, "SignatureValidationObjects")
    for name, (kind, digest) in sorted(objects.used.items()):
        item = _add(listed, "ValidationObject", id=name)
        _add(item, "ObjectType", _OBJECT + _KINDS.get(kind, "other"))
        shown = _add(item, "ValidationObjectRepresentation")
        known = objects.known.get(digest)
        if known is not None:
            _add(shown, "base64", base64.b64encode(known.data).decode("ascii"))
        else:
            _digest(_add(shown, "DigestAlgAndValue"), digest)
        proof = _add(item, "POE")
        _add(proof, "POETime", _time(how.at))
        _add(proof, "TypeOfProof", "urn:etsi:019102:poetype:validation")


# --- elements --------------------------------------------------------------------------------------------------------


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _add(parent: etree._Element, name: str, text: str | None = None, **attributes: str) -> etree._Element:
    element = etree.SubElement(parent, _tag(name), attributes)
    element.text = text
    return element


def _refer(parent: etree._Element, name: str, target: str) -> None:
    _add(parent, name, VOReference=target)


def _digest(parent: etree._Element, value: str) -> None:
    etree.SubElement(parent, f"{{{DS}}}DigestMethod", {"Algorithm": SHA256})
    etree.SubElement(parent, f"{{{DS}}}DigestValue").text = base64.b64encode(bytes.fromhex(value)).decode("ascii")


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
