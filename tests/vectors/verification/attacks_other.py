"""Attack files of CMS, containers and trust, class by class of signing.md 6, 7, 9 and 10, A3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import ocsp

from signer.credential import Role
from signer.devfaults import Above, Reply, crl_of, delegate, issue_below, ocsp_by, subordinate, tsa_of
from signer.devpki import SHA256, DevIdentity, DevTimestamper
from signer.report import Code
from signer.trust import Content
from tests.signer_cms import cmsforge, test_asic_cades
from tests.signer_cms.cmsforge import Cms, Signer, attribute
from tests.signer_xml import test_zip_attacks
from tests.vectors.verification import byte_vectors as of_bytes
from tests.vectors.verification import situations
from tests.vectors.verification import trust_vectors as of_trust
from tests.vectors.verification.attack import Attack, Make, one
from tests.vectors.verification.house import DAY, LEADER, Case, House, Line, failed, passed, undecided

WORDS = of_bytes.WORDS

# --- CMS -------------------------------------------------------------------------------------------------------------


def over(house: House, cms: Cms) -> Case:
    """Return a CMS judged with its content at hand."""
    return house.case(cms.encoded(), house.context(Content("", WORDS)))


def _no_type(found: dict[str, bytes]) -> list[bytes]:
    return sorted(value for name, value in found.items() if name != "content_type")


def countered(house: House, *, nested: bool = True, wrong: bool) -> Case:
    """A counter-signature of a counter-signature; the inner one over the value it stands in, or over another's."""
    main = Signer(house.person, WORDS).with_unsigned()
    assert main.value is not None
    first = Signer(house.second, main.value, change=_no_type).with_unsigned()
    assert first.value is not None
    inner = cmsforge.counter(house.rsa, main.value if wrong else first.value)
    outer = first.with_unsigned(inner) if nested else first
    people = (house.person, house.second, house.rsa)
    held = tuple(dict.fromkeys(der for who in people for der in (who.certificate, *who.chain)))
    whole = main.with_unsigned(attribute("counter_signature", outer.encoded()))
    return over(house, Cms((whole,), certificates=held))


def archived(house: House, *, changed: bool) -> Case:
    """An archive stamp of version 3 over everything; then an octet of its index is another."""
    fixed = Signer(house.person, WORDS).with_unsigned()
    assert fixed.value is not None
    stamp = cmsforge.stamp("signature_time_stamp_token", fixed.value, house.stamps())
    cms = cmsforge.archive_v3(Cms((fixed.with_unsigned(stamp),)), WORDS, house.stamps())
    data = cms.encoded()
    if changed:
        from signer import asn1

        (token,) = asn1.read_signed_data(data).signers[0].unsigned_values("archive_time_stamp_v3")
        (index,) = asn1.read_signed_data(token).signers[0].unsigned_values("ats_hash_index_v3")
        place = data.index(index) + len(index) - 1
        data = data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]
    return house.case(data, house.context(Content("", WORDS)))


# --- containers ------------------------------------------------------------------------------------------------------


def bench(house: House) -> test_asic_cades.Bench:
    """Return who makes containers with CAdES."""
    return test_asic_cades.Bench(house.person, house.second, house.now, house.stamps())


def container(*names: str) -> dict[str, Make]:
    """Return attacks on a container with CAdES, by their names in its tests."""

    def made(name: str) -> Make:
        change = test_asic_cades.INVALID[name][0]

        def make(house: House) -> Case:
            maker = bench(house)
            return house.case(of_bytes.packed(change(maker.extended(), maker)))

        return make

    return {name: made(name) for name in names}


def honest_container(house: House) -> Case:
    """An ASiC-E with CAdES as it was made."""
    return house.case(of_bytes.packed(bench(house).extended()))


def zipped(*names: str) -> dict[str, Make]:
    """Return tricks on a ZIP, by their names in its tests: the file is marked as a container."""

    def made(name: str) -> Make:
        return lambda house: house.case(test_zip_attacks.REFUSED[name]())

    return {name: made(name) for name in names}


# --- trust -----------------------------------------------------------------------------------------------------------


def revoked(reason: str, *, before: bool = False) -> Make:
    """Return a signature whose certificate was revoked two days ago for a reason."""
    return lambda house: of_trust.revoked(house, -DAY if before else None, reason=reason)


REASONS = [one.value for one in x509.ReasonFlags if one is not x509.ReasonFlags.remove_from_crl]


def below(above: Above, *, under_root: bool = True) -> Make:
    """Return a signature whose certificate comes from an authority that is not quite one."""

    def make(house: House) -> Case:
        issuer = house.pki.root if under_root else house.pki.issuing
        authority = subordinate(issuer, at=house.now - 20 * DAY, above=above)
        return house.case(house.xml(issue_below(house.pki, authority, LEADER, at=house.now - 10 * DAY)))

    return make


def issued_by_a_person(house: House) -> Case:
    """A certificate signed with a person's key."""
    from signer.devpki import Authority

    forged = Authority(house.second.certificate, house.second.key)
    return house.case(house.xml(issue_below(house.pki, forged, LEADER, at=house.now - DAY)))


def answered(reply: Reply | None = None, who: Callable[[House], DevIdentity] | None = None) -> Make:
    """Return a signature whose only status answer is this OCSP answer."""

    def make(house: House) -> Case:
        pki = house.listed
        responder = who(house) if who else delegate(pki.issuing, at=house.now - 10 * DAY)
        given = reply or Reply(house.now)
        answer = ocsp_by(
            (responder.certificate, responder.key), house.clerk.certificate, pki.issuing.certificate, reply=given
        )
        trust = replace(pki.trust(at=house.now), crls=(pki.root_crl(at=house.now),), ocsps=(answer,))
        return house.case(house.xml(house.clerk), house.trusting(trust))

    return make


def stale_answer(house: House) -> Case:
    """An answer whose time was over nine days ago."""
    return answered(Reply(house.now - 9 * DAY))(house)


def unknown_answer(house: House) -> Case:
    """An answer that does not know the certificate."""
    return answered(Reply(house.now, status=ocsp.OCSPCertStatus.UNKNOWN))(house)


def listed(extension: x509.ExtensionType | None) -> Make:
    """Return a signature whose only list is complete, or of this scope alone."""

    def make(house: House) -> Case:
        pki = house.listed
        only = crl_of(pki.issuing, at=house.now, extension=(extension, True) if extension else None)
        trust = replace(pki.trust(at=house.now), crls=(pki.root_crl(at=house.now), only))
        return house.case(house.xml(house.clerk), house.trusting(trust))

    return make


def old_lists(house: House, *, days: int) -> Case:
    """Lists made that many days ago, for seven days."""
    trust = house.listed.trust(at=house.now - days * DAY)
    return house.case(house.xml(house.clerk), house.trusting(trust))


def indirect(*, marked: bool) -> Make:
    """Return a signature whose certificate another authority's list calls good, for the one it names."""
    scope = x509.IssuingDistributionPoint(None, None, False, False, None, True, False)

    def make(house: House) -> Case:
        pki = house.listed
        issuer = house.pki.issuing if marked else pki.issuing
        only = crl_of(issuer, at=house.now, extension=(scope, True) if marked else None)
        trust = replace(pki.trust(at=house.now), crls=(pki.root_crl(at=house.now), only))
        return house.case(house.xml(house.clerk), house.trusting(trust))

    return make


def two_stampers(house: House) -> Case:
    """An authority whose certificates alternate: both stamps in one file, each under its own (R71)."""
    from cryptography.x509.oid import ExtendedKeyUsageOID

    other = tsa_of(house.pki, at=house.now - 20 * DAY, usages=(ExtendedKeyUsageOID.TIME_STAMPING,))
    return _twice_stamped(house, DevTimestamper(other, lambda: house.now))


def stamped_for_something_else(house: House) -> Case:
    """A stamp by a certificate that may do other things too."""
    from cryptography.x509.oid import ExtendedKeyUsageOID

    usages = (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING)
    other = tsa_of(house.pki, at=house.now - 20 * DAY, usages=usages)
    return _twice_stamped(house, DevTimestamper(other, lambda: house.now), alone=True)


def _twice_stamped(house: House, other: DevTimestamper, *, alone: bool = False) -> Case:
    fixed = Signer(house.person, WORDS).with_unsigned()
    assert fixed.value is not None
    stampers = (other,) if alone else (house.stamps(), other)
    stamps = [cmsforge.stamp("signature_time_stamp_token", fixed.value, one) for one in stampers]
    return over(house, Cms((fixed.with_unsigned(*stamps),)))


def late_stamp(house: House) -> Case:
    """Stamped only after the certificate was revoked."""
    return of_trust.revoked(house, DAY)


def root_of_sha1(house: House) -> Case:
    """The root's own signature is an old one: its own affair (R70)."""
    return situations.old_digest_of_the_root(house)


def _der(certificate: x509.CertificateRevocationList) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def stolen(house: House, *, known: bool) -> Case:
    """Revoked yesterday for a stolen key, which was stolen nine days ago; stamped five days ago."""
    pki = house.listed
    reason = x509.ReasonFlags.key_compromise if known else x509.ReasonFlags.superseded
    entry = x509.RevokedCertificateBuilder().serial_number(house.clerk.credential.x509.serial_number)
    entry = entry.revocation_date(house.now - DAY).add_extension(x509.CRLReason(reason), critical=False)
    begin = (house.now - 9 * DAY).replace(tzinfo=None)
    entry = entry.add_extension(x509.InvalidityDate(begin), critical=False)
    builder = x509.CertificateRevocationListBuilder().issuer_name(pki.issuing.x509.subject)
    builder = builder.last_update(house.now).next_update(house.now + DAY).add_revoked_certificate(entry.build())
    lists = (pki.root_crl(at=house.now), _der(builder.sign(pki.issuing.key, SHA256)))
    trust = replace(pki.trust(at=house.now), crls=lists)
    return house.case(house.xml(house.clerk, stamped=house.now - 5 * DAY, pki=pki), house.trusting(trust))


def good_status(house: House) -> Case:
    """The clerk's certificate with fresh lists."""
    return house.case(house.xml(house.clerk, stamped=house.now, pki=house.listed), house.context(pki=house.listed))


def variant(name: str) -> Make:
    """Return a signature under a certificate with one thing wrong."""
    return lambda house: house.case(house.xml(house.pki.issue(Role.PERSON, LEADER, variant=name)))


def plain(house: House) -> Case:
    """The leader's signature, trusted."""
    return house.case(house.xml())


CHAIN = undecided(Code.CHAIN_CONSTRAINTS_FAILURE)
LATER = undecided(Code.TRY_LATER)
INVALID_ZIP = Line("invalid")

CONTAINERS: tuple[Attack, ...] = (
    Attack(
        "nested counter-signature",
        "a counter-signature of a counter-signature that is over another value",
        one(lambda h: countered(h, wrong=True)),
        failed(Code.HASH_FAILURE, crypto="bad", covers="partial"),
        (Code.COUNTER_SIGNATURE_BROKEN,),
        signature="signer-0/counter-0/counter-0",
        neighbour=lambda h: countered(h, wrong=False),
        beside="one over the value it stands in",
        also=("test_cms_attacks.py::test_a_counter_signature_over_something_else_is_broken",),
    ),
    Attack(
        "archive index",
        "an octet of the hash index under an archive stamp is another",
        one(lambda h: archived(h, changed=True)),
        undecided(Code.SIG_CONSTRAINTS_FAILURE),
        (Code.TIMESTAMP_INVALID,),
        neighbour=lambda h: archived(h, changed=False),
        beside="the index as it was stamped",
        also=("test_cades_long_term.py::test_an_archive_stamp_without_index_is_broken",),
    ),
    Attack(
        "attributes as content",
        "the signed attributes of an honest signature presented as content that was signed without attributes",
        {},
        also=("test_cms_attacks.py::test_an_attack_on_the_bytes_is_broken_whatever_is_trusted",),
    ),
    Attack(
        "Z1 a ZIP of two readings",
        "members that overlap, gaps, data in front or behind, two directories, local names that differ, encryption",
        {"leading data": lambda h: h.case(b"#!run\n" + h.asic())}
        | zipped(
            "overlap",
            "gap",
            "trailing data",
            "two ends",
            "local name differs",
            "local size differs",
            "encrypted",
            "several disks",
            "check sum",
        ),
        INVALID_ZIP,
        (Code.MALFORMED,),
        neighbour=honest_container,
        beside="a container as it was made",
        also=("test_zip_attacks.py::test_harmless_habits_of_others_are_read",),
    ),
    Attack(
        "Z2 names that lead astray",
        "`..`, drives, control characters, names twice, also but for letter case; links; more data than anybody needs",
        zipped(
            "upward",
            "absolute",
            "drive",
            "backslash",
            "control character",
            "text direction",
            "name twice",
            "name twice but for case",
            "not NFC",
            "link",
        ),
        INVALID_ZIP,
        (Code.MALFORMED,),
        neighbour=lambda h: h.case(h.asic(("công văn.txt", b"content", "text/plain"))),
        beside="a name with Vietnamese letters and a blank",
        also=("test_zip_attacks.py::test_bombs_are_a_limit_and_cost_nothing",),
    ),
    Attack(
        "R2 object changed",
        "an object, or the manifest over it, is another",
        container("object changed", "manifest changed", "manifest for other objects"),
        failed(Code.HASH_FAILURE, crypto="bad", covers="partial"),
        (Code.HASH_FAILURE,),
        neighbour=honest_container,
        beside="a container as it was made",
        lines={"manifest changed": failed(Code.HASH_FAILURE, crypto="bad")},
    ),
    Attack(
        "R2 object nobody signed",
        "an object added, renamed, or put among the signatures",
        container("object added", "stray beside the signatures"),
        passed(verdict="invalid", covers="partial"),
        (Code.CONTENT_NOT_SIGNED,),
        neighbour=lambda h: h.case(h.asic(("a.txt", b"a", "text/plain"), ("b.txt", b"b", "text/plain"))),
        beside="two objects, both signed",
        lines={"stray beside the signatures": passed(verdict="invalid")},
        also=("test_asic_cades.py::test_an_attack_on_the_container_is_invalid",),
    ),
    Attack(
        "R2 manifest and file disagree",
        "the list of files names what is not there, or another type",
        container("files listed differ", "types differ"),
        passed(verdict="invalid"),
        (Code.MANIFEST_MISMATCH,),
        neighbour=honest_container,
        beside="a container as it was made",
        also=("test_containers.py::test_a_manifest_that_disagrees_makes_it_invalid",),
    ),
    Attack(
        "R2 signature of another container",
        "the signature of another container, or two exchanged",
        container("signature of another container", "signatures exchanged"),
        failed(Code.HASH_FAILURE, crypto="bad"),
        (Code.HASH_FAILURE,),
        neighbour=honest_container,
        beside="its own signature",
    ),
)
"""A3, CMS and ASiC."""

TRUST: tuple[Attack, ...] = (
    Attack(
        "expired",
        "signed with a certificate that had ended; the time only claimed",
        {"variant": variant("expired"), "claimed": lambda h: of_trust.after_the_end(h, stamped=None)},
        undecided(Code.OUT_OF_BOUNDS_NO_POE),
        lines={"variant": undecided(Code.OUT_OF_BOUNDS_NOT_REVOKED)},
        neighbour=lambda h: of_trust.after_the_end(h, stamped=-5 * DAY),
        beside="ended by now, but stamped before",
    ),
    Attack(
        "stamped after the end",
        "a time stamp proves a time after the certificate's end",
        one(lambda h: of_trust.after_the_end(h, stamped=5 * DAY)),
        failed(Code.EXPIRED, integrity="intact"),
        neighbour=lambda h: of_trust.after_the_end(h, stamped=-5 * DAY),
        beside="stamped before",
    ),
    Attack(
        "not yet valid",
        "signed before the certificate's beginning",
        one(variant("not-yet-valid")),
        undecided(Code.OUT_OF_BOUNDS_NO_POE),
        neighbour=plain,
        beside="a certificate in its time",
    ),
    Attack(
        "revoked",
        "for each reason, and held; no proved time",
        {reason: revoked(reason) for reason in REASONS},
        undecided(Code.REVOKED_NO_POE),
        neighbour=revoked("superseded", before=True),
        beside="revoked, but stamped before",
    ),
    Attack(
        "stamped after the revocation",
        "a time stamp proves a time after it; a stolen key counts from when it was stolen",
        {"revoked": late_stamp, "stolen": lambda h: stolen(h, known=True)},
        failed(Code.REVOKED, integrity="intact"),
        neighbour=lambda h: stolen(h, known=False),
        beside="revoked later, and not for a stolen key",
    ),
    Attack(
        "wrong usage",
        "a certificate for servers",
        one(variant("wrong-usage")),
        CHAIN,
        neighbour=plain,
        beside="one for signing",
    ),
    Attack(
        "unknown root",
        "authorities of the same names with other keys; no anchor at all",
        {"namesake": variant("unknown-root"), "none": of_trust.no_anchor},
        undecided(Code.NO_CERTIFICATE_CHAIN_FOUND),
        neighbour=plain,
        beside="the root that is trusted",
        also=(
            "test_paths_and_status.py::test_namesakes_of_the_authorities_with_other_keys_lead_nowhere",
            "test_paths_and_status.py::test_a_signers_certificate_as_anchor_vouches_for_nobody_else",
        ),
    ),
    Attack(
        "SHA-1",
        "a certificate below the root, or the signature itself, is signed with it",
        {"certificate": variant("sha1"), "signature": situations.old_digest_of_the_signature},
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE),
        neighbour=root_of_sha1,
        beside="a root that is: its own affair",
    ),
    Attack(
        "weak key",
        "RSA of 1024 bits",
        one(situations.short_key),
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE),
        neighbour=lambda h: h.case(h.xml(h.rsa)),
        beside="RSA of 2048 bits",
    ),
    Attack(
        "constraints",
        "no authority, not for certificates, name excluded, unknown critical extension, issued by a person",
        {
            "no authority": below(Above(ca=False)),
            "not for certificates": below(Above(cert_sign=False)),
            "name excluded": below(Above(excluded="Sở Mẫu A")),
            "unknown critical": below(Above(unknown_critical=True)),
            "by a person": issued_by_a_person,
        },
        CHAIN,
        neighbour=below(Above(path_length=0)),
        beside="an authority in order",
        also=(
            "test_path_rules.py::test_only_authorities_issue",
            "test_trust_attacks.py::test_odd_spellings_do_not_escape_an_exclusion",
        ),
    ),
    Attack(
        "path too long",
        "an authority below one that allows none",
        one(below(Above(), under_root=False)),
        CHAIN,
        neighbour=below(Above(path_length=0)),
        beside="one below the root",
    ),
    Attack(
        "two TSA certificates",
        "two stamps by alternating certificates in one file: each is judged under its own",
        one(two_stampers),
        passed(),
        harmless=True,
        neighbour=lambda h: h.case(h.xml(stamped=h.now)),
        beside="one stamp",
        also=("test_time_stamps.py::test_two_authorities_in_one_file_are_told_apart_by_their_certificates",),
    ),
    Attack(
        "stamp for something else",
        "a stamp by a certificate that may sign programs too: its time is not proved",
        one(stamped_for_something_else),
        passed(),
        (Code.TIMESTAMP_UNTRUSTED, Code.SIGNING_TIME_NOT_PROVED),
        harmless=True,
        neighbour=lambda h: h.case(h.xml(stamped=h.now)),
        beside="one for time stamps alone",
        also=("test_time_stamps.py::test_a_certificate_for_something_else_makes_no_time_stamps",),
    ),
    Attack(
        "TSA with wrong nonce or imprint",
        "an answer to another request: refused before it is embedded",
        {},
        also=("test_time_stamps.py::test_an_answer_to_something_else_is_refused",),
    ),
    Attack(
        "TSA late",
        "no answer in time: the level is not reached, and no lower one delivered",
        {},
        also=("test_extend.py::test_what_cannot_be_extended_is_said_with_its_code",),
    ),
    Attack(
        "OCSP by the wrong delegate",
        "by a person, by one not for OCSP, by one of another authority",
        {
            "a person": answered(who=lambda h: h.listed.issue(Role.PERSON, LEADER)),
            "not for OCSP": answered(who=lambda h: delegate(h.listed.issuing, at=h.now - 10 * DAY, ocsp_signing=False)),
            "of another authority": answered(who=lambda h: delegate(h.listed.root, at=h.now - 10 * DAY)),
        },
        LATER,
        neighbour=answered(),
        beside="by a delegate of the issuer",
        also=("test_paths_and_status.py::test_answers_that_do_not_count",),
    ),
    Attack(
        "stale or unknowing answers",
        "an OCSP answer that is over, or does not know the certificate; lists of last month",
        {"over": stale_answer, "unknown": unknown_answer, "lists": lambda h: old_lists(h, days=30)},
        LATER,
        neighbour=lambda h: old_lists(h, days=6),
        beside="lists of this week",
    ),
    Attack(
        "delta and partial lists",
        "a delta list alone, a list of authorities, of attributes, of some reasons, with something critical unknown",
        {
            "delta": listed(x509.DeltaCRLIndicator(1)),
            "authorities": listed(x509.IssuingDistributionPoint(None, None, False, True, None, False, False)),
            "attributes": listed(x509.IssuingDistributionPoint(None, None, False, False, None, False, True)),
            "some reasons": listed(
                x509.IssuingDistributionPoint(
                    None, None, False, False, frozenset([x509.ReasonFlags.key_compromise]), False, False
                )
            ),
            "unknown critical": listed(
                x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
            ),
        },
        LATER,
        neighbour=listed(None),
        beside="a complete list",
        also=("test_revocation_lists.py::test_a_delta_list_to_another_base_is_not_used",),
    ),
    Attack(
        "indirect lists",
        "another authority's list, marked as indirect, though the certificate names no such issuer",
        one(indirect(marked=True)),
        LATER,
        neighbour=indirect(marked=False),
        beside="the issuer's own list",
        also=("test_revocation_lists.py::test_a_list_not_marked_as_indirect_serves_nobody_else",),
    ),
    Attack(
        "negative modulus",
        "a key written as a negative number is read as it was meant, with a remark",
        one(of_bytes.negative_modulus),
        passed(),
        (Code.CERTIFICATE_ENCODING,),
        harmless=True,
        neighbour=lambda h: h.case(h.xml(h.rsa)),
        beside="a key as it should be written",
    ),
    Attack(
        "BER",
        "lengths left open wherever they can be: read, with a remark",
        one(of_bytes.open_lengths),
        passed(),
        (Code.ATTRIBUTES_NOT_DER,),
        harmless=True,
        neighbour=lambda h: over(h, Cms((Signer(h.person, WORDS),))),
        beside="the same in DER",
        also=("test_cms_attacks.py::test_hostile_encodings_are_refused_quickly",),
    ),
)
"""A3, trust: each variant of signing.md 9."""
