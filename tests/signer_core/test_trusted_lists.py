"""Trusted lists of TS 119 612: believed from pinned signers alone, for the periods they name (signing.md 7.1)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject
from signer.errors import TrustError
from signer.trust import Anchor, Context, Purpose
from signer.trustlist import TrustList, read_trust_list
from signer.xml.sign import sign_xml
from transport.anchoruses import anchors_for, uses_of

DAY = timedelta(days=1)
BASE = "http://uri.etsi.org"
CA_QC, TSA = f"{BASE}/TrstSvc/Svctype/CA/QC", f"{BASE}/TrstSvc/Svctype/TSA/QTST"
GRANTED, WITHDRAWN = (f"{BASE}/TrstSvc/TrustedList/Svcstatus/{word}" for word in ("granted", "withdrawn"))
FOR_SITES = f"{BASE}/TrstSvc/TrustedList/SvcInfoExt/ForWebSiteAuthentication"
START = datetime(2016, 7, 1, tzinfo=UTC)


def _info(kind: str, status: str, since: datetime, *, certificate: bytes = b"", extension: str = "") -> str:
    encoded = base64.b64encode(certificate).decode()
    identity = f"<DigitalId><X509Certificate>{encoded}</X509Certificate></DigitalId>" if certificate else ""
    extensions = f"<ServiceInformationExtensions>{extension}</ServiceInformationExtensions>" if extension else ""
    return (
        f"<ServiceTypeIdentifier>{kind}</ServiceTypeIdentifier>"
        f"<ServiceDigitalIdentity>{identity}</ServiceDigitalIdentity>"
        f"<ServiceStatus>{status}</ServiceStatus>"
        f"<StatusStartingTime>{since:%Y-%m-%dT%H:%M:%SZ}</StatusStartingTime>{extensions}"
    )


def _service(info: str, *history: str) -> str:
    before = "".join(f"<ServiceHistoryInstance>{one}</ServiceHistoryInstance>" for one in history)
    return (
        f"<TSPService><ServiceInformation>{info}</ServiceInformation>"
        f"<ServiceHistory>{before}</ServiceHistory></TSPService>"
    )


def _list(*services: str, now: datetime, version: int = 5) -> bytes:
    later = f"{now + 30 * DAY:%Y-%m-%dT%H:%M:%SZ}"
    return (
        f'<TrustServiceStatusList xmlns="{BASE}/02231/v2#"><SchemeInformation>'
        f"<TSLVersionIdentifier>{version}</TSLVersionIdentifier><TSLSequenceNumber>7</TSLSequenceNumber>"
        f"<SchemeTerritory>VN</SchemeTerritory><ListIssueDateTime>{now:%Y-%m-%dT%H:%M:%SZ}</ListIssueDateTime>"
        f"<NextUpdate><dateTime>{later}</dateTime></NextUpdate></SchemeInformation><TrustServiceProviderList>"
        f"<TrustServiceProvider><TSPServices>{''.join(services)}</TSPServices></TrustServiceProvider>"
        "</TrustServiceProviderList></TrustServiceStatusList>"
    ).encode()


@pytest.fixture(scope="module")
def keeper(pki: DevPki) -> DevIdentity:
    """Who signs the list."""
    return pki.issue(Role.PERSON, Subject("Cơ quan quản lý"))


@pytest.fixture
def services(pki: DevPki) -> tuple[str, ...]:
    """A CA that was withdrawn for two years, a TSA, and three services that are not for us."""
    root, tsa = pki.root.certificate, pki.tsa.certificate
    ca = _service(
        _info(CA_QC, GRANTED, START + 900 * DAY, certificate=root),
        _info(CA_QC, WITHDRAWN, START + 200 * DAY),
        _info(CA_QC, GRANTED, START + 100 * DAY),
        _info(CA_QC, f"{BASE}/TrstSvc/TrustedList/Svcstatus/accredited", START),
    )
    uri = f"<Extension Critical='true'><AdditionalServiceInformation><URI>{FOR_SITES}</URI>"
    sites = f"{uri}</AdditionalServiceInformation></Extension>"
    unknown = "<Extension Critical='true'><Other xmlns='urn:x'/></Extension>"
    return (
        ca,
        _service(_info(TSA, GRANTED, START, certificate=tsa)),
        _service(_info(CA_QC, GRANTED, START, certificate=root, extension=sites)),
        _service(_info(CA_QC, GRANTED, START, certificate=root, extension=unknown)),
        _service(_info(f"{BASE}/TrstSvc/Svctype/EDS/Q", GRANTED, START, certificate=root)),
    )


def _read(data: bytes, keeper: DevIdentity, now: datetime) -> TrustList:
    return read_trust_list(data, signers=[keeper.certificate], at=now)


def test_periods_of_good_status_become_anchors_with_beginning_and_sunset(
    pki: DevPki, keeper: DevIdentity, services: tuple[str, ...], now: datetime
) -> None:
    """Neighbouring good statuses are one period; what is not for signatures or time stamps is skipped."""
    data = sign_xml(_list(*services, now=now), credential=keeper.credential, at=now)
    found = _read(data, keeper, now)
    signers = frozenset({Purpose.SIGNERS, Purpose.PUBLIC})
    assert (found.territory, found.sequence, found.services, found.skipped) == ("VN", 7, 5, 3)
    assert found.store.anchors == (
        Anchor(pki.root.certificate, signers, START, START + 200 * DAY),
        Anchor(pki.root.certificate, signers, START + 900 * DAY, None),
        Anchor(pki.tsa.certificate, frozenset({Purpose.TSA}), START, None),
    )
    moments = [(START - DAY, 0), (START + DAY, 1), (START + 500 * DAY, 0), (now, 1)]
    for moment, count in moments:
        assert len(found.store.for_purpose(Purpose.SIGNERS, at=moment)) == count


def test_a_list_signed_by_somebody_else_changed_or_not_signed_is_not_believed(
    pki: DevPki, person: DevIdentity, keeper: DevIdentity, services: tuple[str, ...], now: datetime
) -> None:
    """Whatever certificate the list itself names, only the pinned ones count."""
    plain = _list(*services, now=now)
    good = sign_xml(plain, credential=keeper.credential, at=now)
    cases = {
        "EDOC-TRU-006": [sign_xml(plain, credential=person.credential, at=now)],
        "EDOC-TRU-005": [plain, good.replace(b"withdrawn", b"granted"), b"<a/>", b"", good[:-40]],
    }
    for code, files in cases.items():
        for data in files:
            with pytest.raises(TrustError) as caught:
                _read(data, keeper, now)
            assert caught.value.code == code


def test_an_old_list_and_one_of_another_version_are_refused(
    keeper: DevIdentity, services: tuple[str, ...], now: datetime
) -> None:
    """A list says when the next one is due."""
    data = sign_xml(_list(*services, now=now), credential=keeper.credential, at=now)
    with pytest.raises(TrustError) as caught:
        _read(data, keeper, now + 31 * DAY)
    assert caught.value.code == "EDOC-TRU-007"
    other = sign_xml(_list(*services, now=now, version=4), credential=keeper.credential, at=now)
    with pytest.raises(TrustError) as caught:
        _read(other, keeper, now)
    assert caught.value.code == "EDOC-TRU-005"
    newer = sign_xml(_list(*services, now=now, version=6), credential=keeper.credential, at=now)
    assert _read(newer, keeper, now).sequence == 7


def test_uses_are_kept_as_words_and_come_back(pki: DevPki, context: Context) -> None:
    """Periods survive the table of anchors; words of other purposes make no anchor."""
    whole = Anchor(pki.root.certificate, frozenset({Purpose.TSA}), START, START + DAY)
    plain = context.trust.anchors[0]
    words = (*uses_of(whole), *uses_of(plain))
    assert words[0] == "tsa@2016-07-01T00:00:00+00:00/2016-07-02T00:00:00+00:00"
    assert set(anchors_for(pki.root.certificate, (*words, "tls", "transport"))) == {whole, plain}
    assert anchors_for(pki.root.certificate, ("tls",)) == ()
