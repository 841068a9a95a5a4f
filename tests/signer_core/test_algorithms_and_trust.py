"""The algorithm table as dated data, trust stores that load whole or not at all, and texts for every code."""

from __future__ import annotations

import base64
import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.algorithms import PolicyName, Scheme, built_in, judge, load_table
from signer.devpki import DevPki, pem
from signer.errors import TrustError
from signer.report import SUB_INDICATIONS, Code, Indication, indication_of, rank, worst_first
from signer.trust import Anchor, Purpose, TrustStore, anchored, anchors_from, load_certificates, load_status

NOW = datetime(2026, 11, 20, tzinfo=UTC)
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
STRONG = ["SHA-256", "SHA-384", "SHA-512", "SHA-512/224", "SHA-512/256", "SHA3-256", "SHA3-384", "SHA3-512"]
OLD = ["SHA-1", "SHA-224", "MD5", "RIPEMD-160", "SM3", ""]
INTEROP, STRICT, BYTES = PolicyName.INTEROP, PolicyName.STRICT, PolicyName.INTEGRITY_ONLY


def _code(policy: PolicyName, signature: str, digest: str, bits: int) -> Code | None:
    return judge(policy=policy, signature=signature, digest=digest, bits=bits, at=NOW).code


class TestTable:
    """signing.md 1.4, row by row."""

    @pytest.mark.parametrize("digest", STRONG)
    @pytest.mark.parametrize(("signature", "bits"), [("RSASSA-PSS", 2048), ("ECDSA", 256), ("ECDSA", 521)])
    def test_annex_one_is_accepted_everywhere(self, signature: str, bits: int, digest: str) -> None:
        assert [_code(policy, signature, digest, bits) for policy in PolicyName] == [None] * 3
        assert judge(policy=STRICT, signature=signature, digest=digest, bits=bits, at=NOW).tt15

    @pytest.mark.parametrize(("signature", "bits"), [("RSASSA-PKCS1-v1_5", 2048), ("Ed25519", 255), ("Ed448", 448)])
    def test_the_field_s_algorithms_are_accepted_by_interop_alone(self, signature: str, bits: int) -> None:
        assert _code(INTEROP, signature, "SHA-256", bits) is None
        assert _code(STRICT, signature, "SHA-256", bits) is Code.CRYPTO_CONSTRAINTS_FAILURE
        assert not judge(policy=INTEROP, signature=signature, digest="SHA-256", bits=bits, at=NOW).tt15

    @pytest.mark.parametrize("policy", [INTEROP, STRICT])
    @pytest.mark.parametrize(
        ("signature", "digest", "bits"),
        [
            *(("RSASSA-PSS", digest, 2048) for digest in OLD[:-1]),
            ("RSASSA-PSS", "SHA-256", 2047),
            ("RSASSA-PKCS1-v1_5", "SHA-256", 1024),
            ("ECDSA", "SHA-256", 224),
            ("DSA", "SHA-256", 3072),
            ("HMAC", "SHA-256", 256),
            ("GOST", "SHA-256", 256),
        ],
    )
    def test_what_is_never_accepted(self, policy: PolicyName, signature: str, digest: str, bits: int) -> None:
        assert _code(policy, signature, digest, bits) is Code.CRYPTO_CONSTRAINTS_FAILURE
        assert _code(BYTES, signature, digest, bits) is None

    def test_an_entry_holds_until_its_moment(self) -> None:
        rules = load_table(
            """name = "t"\nedition = "1"\n[digest]\nSHA-256 = {interop = true, strict = true}
            [signature.ECDSA]\ninterop = true\nstrict = true\nmin_bits = 256\nuntil = 2030-01-01T00:00:00Z"""
        )
        end = datetime(2030, 1, 1, tzinfo=UTC)

        def at(moment: datetime) -> Code | None:
            return judge(policy=INTEROP, signature="ECDSA", digest="SHA-256", bits=256, at=moment, table=rules).code

        assert at(end - timedelta(seconds=1)) is None
        assert at(end) is Code.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
        assert built_in().name != rules.name

    def test_an_entry_holds_from_its_moment_and_for_its_uses(self) -> None:
        rules = load_table(
            """name = "t"\nedition = "1"\n[digest]\nSHA-256 = {interop = true, strict = true}
            SHA-1 = {interop = true, strict = false, uses = ["reference"], from = 2026-01-01T00:00:00Z}
            [signature]"""
        )

        def at(use: str, moment: datetime = NOW) -> Code | None:
            return judge(policy=INTEROP, signature="", digest="SHA-1", bits=0, at=moment, use=use, table=rules).code

        assert at("reference") is None
        assert at("signature") is Code.CRYPTO_CONSTRAINTS_FAILURE
        assert at("reference", NOW - timedelta(days=365)) is Code.CRYPTO_CONSTRAINTS_FAILURE

    @pytest.mark.parametrize(
        "entry",
        [
            "{interop = true}",
            "{interop = 1, strict = true}",
            "{interop = true, strict = true, untill = 2030-01-01T00:00:00Z}",
            "{interop = true, strict = true, until = 2030-01-01T00:00:00}",
            "{interop = true, strict = true, min_bits = '2048'}",
            "{interop = true, strict = true, uses = ['all']}",
            "7",
        ],
    )
    def test_a_table_is_read_whole_or_not_at_all(self, entry: str) -> None:
        good = 'name = "t"\nedition = "1"\n[digest]\nSHA-256 = {interop = true, strict = true}\n[signature]\n'
        assert load_table(good).signatures == {}
        for text in ("", "not a table", good[11:], good.replace("[digest]", "[digests]"), f"{good}ECDSA = {entry}"):
            with pytest.raises(ValueError):
                load_table(text)

    def test_the_built_in_table_is_named_and_dated(self) -> None:
        table = built_in()
        assert (table.name, table.edition, len(table.sha256)) == ("edoc built-in", "2026-11", 64)
        assert not [e for e in (*table.digests.values(), *table.signatures.values()) if e.until or e.since]

    @pytest.mark.parametrize("scheme", list(Scheme))
    def test_every_scheme_we_write_is_in_the_table(self, scheme: Scheme) -> None:
        assert scheme.family in built_in().signatures
        assert scheme.digest in {"sha256", "sha384", "sha512"}


class TestOrder:
    """Of several sub-indications the first of signing.md 1.3 is reported."""

    def test_the_order_is_that_of_the_specification(self) -> None:
        assert [code.value for code in SUB_INDICATIONS[:9]] == [
            *("HASH_FAILURE", "SIG_CRYPTO_FAILURE", "FORMAT_FAILURE", "REVOKED", "EXPIRED", "NOT_YET_VALID"),
            *("SIGNED_DATA_NOT_FOUND", "CRYPTO_CONSTRAINTS_FAILURE", "NO_SIGNING_CERTIFICATE_FOUND"),
        ]
        assert [c for c in Code if indication_of(c) is Indication.FAILED] == list(SUB_INDICATIONS[:6])

    def test_an_algorithm_that_cannot_be_computed_is_graver_than_one_that_is_not_accepted(self) -> None:
        codes = (Code.CRYPTO_CONSTRAINTS_FAILURE, Code.CHAIN_CONSTRAINTS_FAILURE)
        assert worst_first(codes, computable=False) is Code.CRYPTO_CONSTRAINTS_FAILURE
        assert worst_first(codes) is Code.CHAIN_CONSTRAINTS_FAILURE

    @given(codes=st.lists(st.sampled_from(list(Code))))
    def test_the_worst_does_not_depend_on_the_order(self, codes: list[Code]) -> None:
        assert worst_first(tuple(codes)) == worst_first(tuple(reversed(codes)))
        assert worst_first(tuple(codes)) in {*codes, None}
        assert all(rank(a) != rank(b) for a in SUB_INDICATIONS for b in SUB_INDICATIONS if a is not b)


class TestTrustStore:
    """Frozen, loaded whole or not at all; none given means none."""

    def test_every_form_of_certificate_file(self, pki: DevPki) -> None:
        both = (pki.root.certificate, pki.issuing.certificate)
        parsed = [x509.load_der_x509_certificate(der) for der in both]
        text = b"".join(pem(der) for der in both)
        assert load_certificates(text) == both
        assert load_certificates(b"# a comment\n" + text) == both
        assert load_certificates(both[0]) == both[:1]
        for encoding in (PEM, DER):
            assert set(load_certificates(pkcs7.serialize_certificates(parsed, encoding))) == set(both)

    @pytest.mark.parametrize("code", ["EDOC-TRU-001", "EDOC-TRU-002", "EDOC-TRU-003"])
    def test_a_file_that_is_not_whole_gives_nothing(self, pki: DevPki, code: str) -> None:
        good = pem(pki.root.certificate)
        bad = {
            "EDOC-TRU-001": [
                good + good[:200] + good[-30:],
                good + good[:200],
                b"0\x82rubbish",
                pki.root.certificate[:-9],
            ],
            "EDOC-TRU-002": [b"", b"text", b"-----BEGIN NOTHING-----\n"],
            "EDOC-TRU-003": [good * 2001],
        }[code]
        for data in bad:
            with pytest.raises(TrustError) as caught:
                anchors_from(data, Purpose.SIGNERS)
            assert caught.value.code == code

    def test_status_answers_of_every_form(self, pki: DevPki, now: datetime) -> None:
        lists = (pki.crl(at=now), pki.root_crl(at=now))
        text = b"".join(x509.load_der_x509_crl(der).public_bytes(PEM) for der in lists)
        assert load_status(text) == TrustStore(crls=lists)
        assert load_status(lists[0]) == TrustStore(crls=lists[:1])
        for data in (b"", b"text", pki.root.certificate, text[:300], text[:300] + text[-30:]):
            with pytest.raises(TrustError) as caught:
                load_status(data)
            assert caught.value.code == "EDOC-TRU-004"

    @settings(max_examples=60, deadline=None)
    @given(noise=st.binary(max_size=300))
    def test_noise_is_refused_with_our_error(self, noise: bytes) -> None:
        wrapped = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(noise) + b"\n-----END CERTIFICATE-----\n"
        for data in (noise, b"0" + noise, wrapped):
            with pytest.raises(TrustError):
                load_certificates(data)

    def test_a_store_is_frozen_and_merging_makes_a_new_one(self, pki: DevPki, listed: DevPki) -> None:
        ours, theirs = pki.anchors, listed.anchors
        both = ours.merged(theirs).merged(ours)
        assert (len(ours.anchors), len(both.anchors)) == (1, 2)
        with pytest.raises(AttributeError):
            ours.anchors = ()  # type: ignore[misc]  # frozen
        assert both.fingerprint() == theirs.merged(ours).fingerprint() != ours.fingerprint()

    def test_purposes_are_kept_apart(self, pki: DevPki) -> None:
        store = TrustStore(anchors=(Anchor(pki.root.certificate, frozenset({Purpose.TSA})),))
        assert store.for_purpose(Purpose.TSA) == (pki.root.certificate,)
        assert store.for_purpose(Purpose.SIGNERS, Purpose.PUBLIC) == ()
        assert anchored([pki.root.certificate], Purpose.PUBLIC).for_purpose(Purpose.PUBLIC, Purpose.SIGNERS)

    def test_the_digest_of_no_anchors_is_that_of_nothing(self) -> None:
        assert TrustStore().fingerprint() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class TestTexts:
    """Every code has both texts, and the texts name only facts that are given."""

    @pytest.mark.parametrize("code", list(Code))
    def test_every_reason_has_both_texts(self, code: Code) -> None:
        texts = tomllib.loads(_catalogue("reasons"))[code.value]
        for language in ("vi", "en"):
            assert texts[language][0] == texts[language][0].lower() or texts[language].startswith("{")
            assert not texts[language].endswith(".")

    def test_every_error_code_of_keys_trust_and_services_has_an_entry(self) -> None:
        signer = Path(__file__).parents[2] / "signer"
        used = {
            c for f in signer.rglob("*.py") for c in re.findall(r"EDOC-(?:KEY|TRU|PKI)-\d{3}", f.read_text("utf-8"))
        }
        held = {c for area in ("KEY", "TRU", "PKI") for c in tomllib.loads(_catalogue(area))}
        assert used
        assert used <= held


def _catalogue(name: str) -> str:
    folder = Path(__file__).parents[2] / "transport" / "present" / "catalogue"
    return (folder / f"{name}.toml").read_text("utf-8")
