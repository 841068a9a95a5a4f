"""Vectors of who and when: certificates, status, algorithms, time stamps, policies, expectation (signing.md 1.3, 7)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from lxml import etree

from signer import devforge
from signer.algorithms import PolicyName, load_table
from signer.credential import Role
from signer.devfaults import Reply, crossed, delegate, ocsp_by
from signer.devpki import SHA256, DevIdentity, DevPki
from signer.expectation import Expectation
from signer.report import Code
from signer.trust import Content, Purpose, TrustStore, anchored
from tests.signer_xml.xades_house import Foreign, canonical, certificate_reference, digest_text, finder, stamp
from tests.vectors.verification.house import DAY, LEADER, Case, House, Vector, failed, passed, undecided

POLICY = b"urn:oid:1.2.3.4 this is what the signer agreed to\n"


def _end(who: DevIdentity) -> datetime:
    return who.credential.x509.not_valid_after_utc


# --- certificates ----------------------------------------------------------------------------------------------------


def after_the_end(house: House, *, stamped: timedelta | None) -> Case:
    """Judged ten days after the certificate's end, with lists from before it."""
    who = house.pki.issue(Role.PERSON, LEADER, at=house.now - 200 * DAY)
    end = _end(who)
    data = house.xml(who, at=end - 5 * DAY) if stamped is None else house.xml(who, stamped=end + stamped)
    at = end + 10 * DAY
    return house.case(data, replace(house.context(at=at), trust=house.pki.trust(at=end - DAY)))


def _not_yet(house: House) -> Case:
    who = house.pki.issue(Role.PERSON, LEADER, at=house.now + DAY)
    return house.case(house.xml(who, stamped=house.now), house.context(at=house.now + 2 * DAY))


def _expired_but_good(house: House) -> Case:
    """An answer issued after the end says that the certificate was never revoked."""
    at = _end(house.clerk) + 10 * DAY
    return house.case(house.xml(house.clerk), house.context(pki=house.listed, at=at))


def unknown_root(house: House) -> Case:
    return house.case(house.xml(house.pki.issue(Role.PERSON, LEADER, variant="unknown-root")))


def no_anchor(house: House) -> Case:
    return house.case(house.xml(), house.trusting(TrustStore()))


def wrong_usage(house: House) -> Case:
    return house.case(house.xml(house.pki.issue(Role.PERSON, LEADER, variant="wrong-usage")))


def _doubled_extension(house: House) -> Case:
    """A certificate no rule can be applied to: the same extension twice (RFC 5280, 4.2)."""
    pki, key = house.pki, devforge.new_key()
    usage = devforge.usage(0)
    subject = devforge.called("Nguyễn Văn Mẫu")
    plan = devforge.Plan(subject, house.now - 9 * DAY, house.now + 9 * DAY, (usage, usage))
    name = pki.issuing.x509.subject.public_bytes()
    assert isinstance(pki.issuing.key, devforge.Key)
    made = devforge.certificate(plan, key, devforge.Issuer(name, pki.issuing.key))
    who = DevIdentity(made, (pki.issuing.certificate, pki.root.certificate), key, Role.PERSON)
    return house.case(Foreign(who, key_info=(who.certificate, *who.chain)).file())


def _crowd(house: House) -> Case:
    """A signature among so many certificates that not all paths can be tried."""
    stranger = DevPki.create(at=house.now - 30 * DAY)
    authorities = [DevPki.create(at=house.now - 30 * DAY) for _ in range(7)]
    crossings = tuple(crossed(a, b, at=house.now - DAY) for a, b in permutations(authorities, 2))
    who = authorities[0].issue(Role.PERSON, LEADER)
    data = Foreign(who, key_info=(who.certificate, *who.chain, *crossings)).file()
    return house.case(data, house.trusting(anchored([stranger.root.certificate], Purpose.SIGNERS)))


def old_digest(house: House) -> Case:
    return house.case(house.xml(house.pki.issue(Role.PERSON, LEADER, variant="sha1")))


def _outside_annex(house: House) -> Case:
    """RSA PKCS#1 v1.5 is what tokens write, but not in Annex I: refused under ``strict``."""
    data = house.xml(house.rsa, stamped=house.now)
    return house.case(data, house.context(policy="strict"))


def _algorithm_that_ended(house: House) -> Case:
    until = (house.now - DAY).isoformat()
    table = load_table(
        f"""name = "test"\nedition = "1"
        [digest]\n"SHA-256" = {{ interop = true, strict = true }}
        [signature]\n"ECDSA" = {{ interop = true, strict = true, min_bits = 256 }}
        "RSASSA-PKCS1-v1_5" = {{ interop = true, strict = false, min_bits = 2048, until = {until} }}"""
    )
    return house.case(house.xml(house.rsa), replace(house.context(), algorithms=table))


def _bare_pkcs1(house: House) -> Case:
    return house.case(house.xml(house.rsa, stamped=house.now))


# --- status ----------------------------------------------------------------------------------------------------------


def revoked(house: House, stamped: timedelta | None, *, reason: str = "superseded") -> Case:
    """Revoked two days ago; a time stamp lies that far from it."""
    pki = house.revoking(house.listed)
    gone = house.now - 2 * DAY
    pki.revoke(house.clerk.certificate, at=gone, reason=reason)
    data = house.xml(house.clerk, stamped=None if stamped is None else gone + stamped, pki=pki)
    return house.case(data, house.context(pki=pki))


def _revoked_authority(house: House) -> Case:
    pki = house.listed
    entry = x509.RevokedCertificateBuilder().serial_number(pki.issuing.x509.serial_number)
    listed = entry.revocation_date(house.now - 2 * DAY).build()
    builder = x509.CertificateRevocationListBuilder().issuer_name(pki.root.x509.subject)
    builder = builder.last_update(house.now).next_update(house.now + DAY).add_revoked_certificate(listed)
    root_list = builder.sign(pki.root.key, SHA256).public_bytes(serialization.Encoding.DER)
    trust = replace(pki.trust(at=house.now), crls=(pki.crl(at=house.now), root_list))
    return house.case(house.xml(house.clerk), house.trusting(trust))


def _late_responder(house: House) -> Case:
    """The only answer is signed by a delegate whose own certificate had ended."""
    pki = house.listed
    who = delegate(pki.issuing, at=house.now - 10 * DAY, days=5)
    answer = ocsp_by(
        (who.certificate, who.key), house.clerk.certificate, pki.issuing.certificate, reply=Reply(house.now)
    )
    trust = replace(pki.trust(at=house.now), crls=(pki.root_crl(at=house.now),), ocsps=(answer,))
    return house.case(house.xml(house.clerk), house.trusting(trust))


def no_answer(house: House) -> Case:
    pki = house.listed
    bare = pki.anchors.merged(TrustStore(intermediates=(pki.issuing.certificate,)))
    return house.case(house.xml(house.clerk), house.trusting(bare))


def no_source(house: House, policy: str = "interop") -> Case:
    pki = house.pki
    bare = pki.anchors.merged(TrustStore(intermediates=(pki.issuing.certificate,)))
    context = replace(house.trusting(bare), policy=PolicyName(policy))
    return house.case(house.xml(stamped=house.now), context)


def old_root(house: House) -> Case:
    who = house.pki.issue(Role.PERSON, LEADER, at=house.now + 7300 * DAY)
    at = house.now + 7400 * DAY
    anchors = anchored([house.pki.root.certificate, house.pki.issuing.certificate], Purpose.SIGNERS)
    return house.case(house.xml(who, at=at), house.trusting(anchors, at=at))


# --- time ------------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(rb"(<(?:\w+:)?EncapsulatedTimeStamp[^>]*>)([^<]+)(<)")


def foreign_stamp(house: House) -> Case:
    """The time stamp of one signature in another."""
    first, second = (house.xml(who, stamped=house.now) for who in (house.person, house.second))
    other = _TOKEN.search(second)
    assert other is not None
    return house.case(_TOKEN.sub(lambda found: found[1] + other[2] + found[3], first))


def _future_stamp(house: House) -> Case:
    return house.case(house.xml(stamped=house.now + DAY, at=house.now))


def _content_after_signature(house: House) -> Case:
    """A stamp over the content, said to be from before signing, a day younger than the signature's own."""
    whole = canonical(etree.fromstring("<doc><b>x</b></doc>"))
    content = stamp("AllDataObjectsTimeStamp", whole, house.stamps(house.now - DAY))
    text = Foreign(house.person, data=content).text()
    value = canonical(finder(text.replace("{unsigned}", "").encode())("ds:SignatureValue"))
    own = stamp("SignatureTimeStamp", value, house.stamps(house.now - 2 * DAY))
    wrapped = f"<x:UnsignedSignatureProperties>{own}</x:UnsignedSignatureProperties>"
    data = text.replace("{unsigned}", f"<x:UnsignedProperties>{wrapped}</x:UnsignedProperties>").encode()
    return house.case(data)


def _expired_with_its_stamp(house: House) -> Case:
    """Forty years later signer and time-stamping authority have ended, and nothing newer was added."""
    at = house.now + 14_600 * DAY
    return house.case(house.xml(stamped=house.now), replace(house.context(at=at), trust=house.pki.trust(at=house.now)))


def _strict_without_stamp(house: House) -> Case:
    return house.case(house.xml(), house.context(policy="strict"))


def unknown_stamper(house: House) -> Case:
    return house.case(house.xml(stamped=house.now, pki=DevPki.create(at=house.now - 30 * DAY)))


def _disagreeing(house: House) -> Case:
    return house.case(house.xml(stamped=house.now, at=house.now - timedelta(minutes=17)))


# --- policy, expectation, integrity only -----------------------------------------------------------------------------


def _with_policy(house: House, *given: Content) -> Case:
    about = (
        certificate_reference(house.person.certificate)
        + "<x:SignaturePolicyIdentifier><x:SignaturePolicyId><x:SigPolicyId><x:Identifier>urn:oid:1.2.3.4"
        f"</x:Identifier></x:SigPolicyId><x:SigPolicyHash>{digest_text(POLICY)}</x:SigPolicyHash>"
        "</x:SignaturePolicyId></x:SignaturePolicyIdentifier>"
    )
    return house.case(Foreign(house.person, about=about).file(), house.context(*given))


def _another_signer(house: House) -> Case:
    wanted = hashlib.sha256(house.second.certificate).hexdigest()
    return house.case(house.xml(), replace(house.context(), expectation=Expectation((wanted,))))


def bytes_alone(house: House) -> Case:
    return house.case(house.xml(), replace(house.trusting(TrustStore()), policy=PolicyName.INTEGRITY_ONLY))


def _answer(name: str, given: bytes) -> Callable[[House], Case]:
    return lambda house: _with_policy(house, Content(name, given))


_AS_SIGNED = {"integrity": "intact"}

TRUST: tuple[Vector, ...] = (
    Vector(
        Code.REVOKED,
        "a time stamp a day after the revocation",
        lambda h: revoked(h, DAY),
        failed(Code.REVOKED, **_AS_SIGNED),
    ),
    Vector(
        Code.EXPIRED,
        "a time stamp five days after the end",
        lambda h: after_the_end(h, stamped=5 * DAY),
        failed(Code.EXPIRED, **_AS_SIGNED),
    ),
    Vector(
        Code.NOT_YET_VALID,
        "a time stamp a day before the beginning",
        _not_yet,
        failed(Code.NOT_YET_VALID, **_AS_SIGNED),
    ),
    Vector(
        Code.CRYPTO_CONSTRAINTS_FAILURE,
        "a certificate signed with SHA-1 below the root",
        old_digest,
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE),
        facts=("SHA-1",),
    ),
    Vector(
        Code.CRYPTO_CONSTRAINTS_FAILURE,
        "PKCS#1 v1.5 under strict",
        _outside_annex,
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE),
        facts=("RSASSA-PKCS1-v1_5",),
    ),
    Vector(
        Code.NO_CERTIFICATE_CHAIN_FOUND,
        "an unknown root",
        unknown_root,
        undecided(Code.NO_CERTIFICATE_CHAIN_FOUND),
    ),
    Vector(Code.NO_CERTIFICATE_CHAIN_FOUND, "no anchor given", no_anchor, undecided(Code.NO_CERTIFICATE_CHAIN_FOUND)),
    Vector(
        Code.CERTIFICATE_CHAIN_GENERAL_FAILURE,
        "an extension twice",
        _doubled_extension,
        undecided(Code.CERTIFICATE_CHAIN_GENERAL_FAILURE),
    ),
    Vector(
        Code.CERTIFICATE_CHAIN_GENERAL_FAILURE,
        "authorities that certify one another without end",
        _crowd,
        undecided(Code.CERTIFICATE_CHAIN_GENERAL_FAILURE),
    ),
    Vector(
        Code.CHAIN_CONSTRAINTS_FAILURE,
        "a certificate for servers",
        wrong_usage,
        undecided(Code.CHAIN_CONSTRAINTS_FAILURE),
    ),
    Vector(
        Code.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
        "an algorithm that ended yesterday",
        _algorithm_that_ended,
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE_NO_POE),
        facts=("RSASSA-PKCS1-v1_5",),
    ),
    Vector(Code.REVOKED_NO_POE, "revoked, no proved time", lambda h: revoked(h, None), undecided(Code.REVOKED_NO_POE)),
    Vector(
        Code.REVOKED_CA_NO_POE, "the issuing authority revoked", _revoked_authority, undecided(Code.REVOKED_CA_NO_POE)
    ),
    Vector(
        Code.OUT_OF_BOUNDS_NO_POE,
        "ended, the time only claimed",
        lambda h: after_the_end(h, stamped=None),
        undecided(Code.OUT_OF_BOUNDS_NO_POE),
    ),
    Vector(
        Code.OUT_OF_BOUNDS_NOT_REVOKED,
        "ended, a later answer says good",
        _expired_but_good,
        undecided(Code.OUT_OF_BOUNDS_NOT_REVOKED),
    ),
    Vector(
        Code.REVOCATION_OUT_OF_BOUNDS_NO_POE,
        "the answer's signer had ended",
        _late_responder,
        undecided(Code.REVOCATION_OUT_OF_BOUNDS_NO_POE),
    ),
    Vector(
        Code.TRY_LATER,
        "a source is named, no answer at hand",
        no_answer,
        undecided(Code.TRY_LATER),
        facts=("http://127.0.0.1:9/ocsp",),
    ),
    Vector(Code.TRY_LATER, "no source, strict", lambda h: no_source(h, "strict"), undecided(Code.TRY_LATER)),
    Vector(
        Code.SIGNATURE_POLICY_NOT_AVAILABLE,
        "the policy's document is not at hand",
        _with_policy,
        undecided(Code.SIGNATURE_POLICY_NOT_AVAILABLE),
    ),
    Vector(
        Code.POLICY_PROCESSING_ERROR,
        "another document under the policy's name",
        _answer("1.2.3.4", b"another"),
        undecided(Code.POLICY_PROCESSING_ERROR),
    ),
    Vector(
        Code.TIMESTAMP_ORDER_FAILURE,
        "a content stamp younger than the signature's",
        _content_after_signature,
        undecided(Code.TIMESTAMP_ORDER_FAILURE),
    ),
    Vector(
        Code.TIMESTAMP_ORDER_FAILURE, "a stamp from the future", _future_stamp, undecided(Code.TIMESTAMP_ORDER_FAILURE)
    ),
    Vector(
        Code.SIG_CONSTRAINTS_FAILURE,
        "strict, and no time stamp",
        _strict_without_stamp,
        undecided(Code.SIG_CONSTRAINTS_FAILURE),
    ),
    Vector(
        Code.NO_POE,
        "decades later, nothing renewed",
        _expired_with_its_stamp,
        undecided(Code.OUT_OF_BOUNDS_NO_POE),
    ),
    Vector(
        Code.TIMESTAMP_INVALID,
        "the stamp of another signature",
        foreign_stamp,
        undecided(Code.SIG_CONSTRAINTS_FAILURE),
    ),
    Vector(
        Code.IDENTITY_MISMATCH,
        "another signer than expected",
        _another_signer,
        undecided(Code.SIG_CONSTRAINTS_FAILURE),
    ),
    # warnings
    Vector(
        Code.NOT_TT15,
        "PKCS#1 v1.5 under interop",
        _bare_pkcs1,
        passed(),
        "warnings",
        facts=("RSASSA-PKCS1-v1_5",),
    ),
    Vector(Code.REVOCATION_NOT_AVAILABLE, "no source named", no_source, passed(), "warnings"),
    Vector(Code.SIGNING_TIME_NOT_PROVED, "no time stamp", lambda h: h.case(h.xml()), passed(), "warnings"),
    Vector(Code.TIMESTAMP_DISAGREES, "17 minutes before the stamp", _disagreeing, passed(), "warnings", facts=("17",)),
    Vector(Code.TIMESTAMP_UNTRUSTED, "a stamp by strangers", unknown_stamper, passed(), "warnings"),
    Vector(
        Code.TRUST_NOT_EVALUATED,
        "integrity only",
        bytes_alone,
        passed(indication="INDETERMINATE"),
        "warnings",
    ),
    Vector(Code.ANCHOR_EXPIRED, "a root past its end", old_root, passed(), "warnings"),
)
"""Who and when. That a revocation counts from its moment: the neighbours stand in the tests of the situations."""
