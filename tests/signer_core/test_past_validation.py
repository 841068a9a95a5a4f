"""Signatures long after: archive stamps, each proving that the ones before it existed (signing.md 7.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from signer.algorithms import PolicyName, built_in
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject
from signer.judge import Facts, Stamp, judge_signature
from signer.report import Code, Indication, SignatureReport
from signer.timestamp import obtain
from signer.trust import Context, Proof, TrustStore

FactsOf = Callable[..., Facts]
DAY = timedelta(days=1)
VALUE = b"the signature value"
IN_2060 = datetime(2060, 6, 1, tzinfo=UTC)


def _year(year: int) -> datetime:
    return datetime(year, 3, 1, tzinfo=UTC)


LAST = _year(2053) - 60 * DAY


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Archive:
    """A signature of 2026 with validation data, and archive stamps by ever newer authorities."""

    facts: Facts
    stamps: tuple[Stamp, ...]
    authorities: tuple[DevPki, ...]

    def trust(self) -> TrustStore:
        """The roots of all authorities, without any status answer."""
        found = TrustStore()
        for pki in self.authorities:
            found = found.merged(pki.anchors)
        return found

    def judged(self, *stamps: Stamp, at: datetime = IN_2060, proofs: tuple[Proof, ...] = ()) -> SignatureReport:
        """Judge the signature with these stamps."""
        context = Context(trust=self.trust(), at=at, policy=PolicyName.INTEROP, proofs=proofs)
        return judge_signature(replace(self.facts, stamps=stamps), context=context).signature


def _stamp(id: str, pki: DevPki, at: datetime, covers: tuple[bytes, ...], *, kind: str = "archive") -> Stamp:
    octets = VALUE if kind == "signature" else b"".join(covers)
    token = obtain(DevTimestamper(pki, lambda: at), hashlib.sha256(octets).digest())
    return Stamp(id, kind, token, octets, tuple(_sha256(one) for one in covers))


@pytest.fixture(scope="module")
def archive(facts_of: FactsOf) -> Archive:
    """Stamped in 2026, 2027, 2035, 2044 and 2053, each time by an authority whose certificate lasts ten years."""
    authorities = tuple(DevPki.create(at=_year(y), base_url="http://127.0.0.1:9") for y in (2026, 2034, 2043, 2052))
    signer = authorities[0].issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
    moments = [(authorities[0], _year(2027)), (authorities[1], _year(2035))]
    moments += [(authorities[2], _year(2044) - 60 * DAY), (authorities[3], LAST)]
    own = _stamp("t", authorities[0], _year(2026) + 2 * DAY, (), kind="signature")
    stamps, crls = [own], list(authorities[0].trust(at=_year(2026) + 3 * DAY).crls)
    for number, (pki, moment) in enumerate(moments):
        covers = (signer.certificate, *crls, *(stamp.token for stamp in stamps))
        stamps.append(_stamp(f"a{number}", pki, moment, covers))
        crls += pki.trust(at=moment + DAY).crls
    facts = replace(facts_of(signer), embedded=TrustStore(crls=tuple(crls)), level="PAdES-B-B")
    return Archive(facts, tuple(stamps), authorities)


class TestIn2060:
    """Decades after every certificate of the signature has ended."""

    def test_with_complete_archive_stamps_it_passes(self, archive: Archive) -> None:
        found = archive.judged(*archive.stamps)
        assert (found.indication, found.reasons, found.level) == (Indication.PASSED, (), "PAdES-B-LTA")
        assert (found.best_signature_time, found.time_source) == (_year(2026) + 2 * DAY, "timestamp")
        assert {stamp.indication for stamp in found.timestamps} == {Indication.PASSED}
        assert [stamp.id for stamp in found.timestamps] == ["t", "a0", "a1", "a2", "a3"]

    def test_the_order_in_which_stamps_are_found_makes_no_difference(self, archive: Archive) -> None:
        turned = archive.judged(*reversed(archive.stamps))
        assert replace(turned, timestamps=tuple(reversed(turned.timestamps))) == archive.judged(*archive.stamps)

    @pytest.mark.parametrize("kept", [(), (0,), (0, 1), (0, 1, 2, 3), (0, 1, 2, 4), (0, 1, 3, 4)])
    def test_without_them_or_with_a_gap_nothing_is_proved(self, archive: Archive, kept: tuple[int, ...]) -> None:
        found = archive.judged(*(archive.stamps[number] for number in kept))
        codes = [reason.code for reason in found.reasons]
        if 4 in kept:  # the newest stamp holds, and proves no more than that there was a signature by then
            earliest = LAST if 3 not in kept else _year(2044) - 60 * DAY
            assert (found.indication, found.best_signature_time) == (Indication.FAILED, earliest)
            assert codes[0] is Code.EXPIRED
            return
        assert (found.indication, found.sub_indication) == (Indication.INDETERMINATE, Code.OUT_OF_BOUNDS_NO_POE)
        assert (Code.NO_POE in codes) is bool(kept)

    def test_a_stamp_that_does_not_cover_the_earlier_ones_does_not_help_them(self, archive: Archive) -> None:
        blind = replace(archive.stamps[4], covers=())
        found = archive.judged(*archive.stamps[:4], blind)
        assert [stamp.indication for stamp in found.timestamps[:4]] == [Indication.INDETERMINATE] * 4

    def test_a_ledger_may_prove_instead_that_the_tokens_existed(self, archive: Archive) -> None:
        own = archive.stamps[0]
        proof = Proof(_sha256(own.token), _year(2030), "ledger")
        found = archive.judged(own, proofs=(proof,))
        assert (found.indication, found.time_source) == (Indication.PASSED, "timestamp")
        late = Proof(_sha256(own.token), _year(2037), "ledger")
        assert archive.judged(own, proofs=(late,)).sub_indication is Code.OUT_OF_BOUNDS_NO_POE

    def test_while_the_first_authority_lasts_its_stamp_is_enough(self, archive: Archive) -> None:
        own = archive.stamps[0]
        assert archive.judged(own, at=_year(2035)).indication is Indication.PASSED
        assert archive.judged(own, at=_year(2037)).sub_indication is Code.OUT_OF_BOUNDS_NO_POE


class TestRevokedAuthority:
    """A time-stamping key that is stolen could make up stamps of any time."""

    def test_only_what_is_proved_to_be_older_survives(self, facts_of: FactsOf, now: datetime) -> None:
        one, other = (DevPki.create(at=now - 30 * DAY, base_url="http://127.0.0.1:9") for _ in range(2))
        signer = one.issue(Role.PERSON, Subject("Trần Thị Mẫu"))
        own = _stamp("t", one, now - 9 * DAY, (), kind="signature")
        covering = _stamp("a", other, now - 6 * DAY, (own.token,))
        late = _stamp("a", other, now - DAY, (own.token,))
        one.revoke(one.tsa.certificate, now - 3 * DAY, "keyCompromise")
        one.revoke(signer.certificate, now - 2 * DAY, "superseded")
        trust = one.trust(at=now).merged(other.trust(at=now))
        context = Context(trust=trust, at=now, policy=PolicyName.INTEROP)

        def judged(*stamps: Stamp) -> SignatureReport:
            return judge_signature(replace(facts_of(signer), stamps=stamps), context=context).signature

        assert judged(own).sub_indication is Code.REVOKED_NO_POE
        assert judged(own, covering).indication is Indication.PASSED
        assert judged(own, late).sub_indication is Code.REVOKED


class TestAlgorithmsThatEnded:
    """An algorithm that ended meanwhile is judged at the time that is proved."""

    def test_a_token_made_with_it_counts_only_if_it_surely_existed_before(
        self, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        table = built_in()
        ended = replace(table.signatures["ECDSA"], until=now - 2 * DAY)
        rules = replace(table, signatures={**table.signatures, "ECDSA": ended})
        own = _stamp("t", listed, now - 5 * DAY, (), kind="signature")
        context = Context(trust=listed.trust(at=now), at=now, policy=PolicyName.INTEROP, algorithms=rules)
        facts = replace(facts_of(clerk), stamps=(own,))
        bare = judge_signature(facts, context=context).signature
        assert bare.sub_indication is Code.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
        proof = Proof(_sha256(own.token), now - 4 * DAY, "ledger")
        proved = judge_signature(facts, context=replace(context, proofs=(proof,))).signature
        assert proved.best_signature_time == now - 5 * DAY
