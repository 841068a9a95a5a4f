"""Files are recognised by content, and each is judged with what fits."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.devpki import DevIdentity
from signer.inspect import inspect_file, recognise
from signer.report import Code, Report, Verdict
from signer.trust import Context, Limits
from signer.xml.sign import sign_xml
from signer.zips import write_zip
from tests.containers import agency_container
from tests.signer_xml.conftest import EDXML, MESSAGE, RECEIPT

KINDS = {
    b"%PDF-1.7\n": "pdf",
    b"\n\n%PDF-1.4": "pdf",
    b"<doc/>": "xml",
    b'<?xml version="1.0"?>\n<!-- c --><p:doc xmlns:p="urn:p"/>': "xml",
    b"\xef\xbb\xbf<doc/>": "xml",
    "\ufeff<doc/>".encode("utf-16-le"): "xml",
    MESSAGE.encode(): "edxml",
    f'<?xml version="1.0"?><x:edXML xmlns:x="{EDXML}"/>'.encode(): "edxml",
    f"rubbish<?xml version='1.0'?><edXML xmlns='{EDXML}'/>".encode(): "edxml",
    RECEIPT.encode(): "receipt",
    b'<EvidenceCopy xmlns="urn:edoc:receipt:1"/>': "receipt",
    b"c2sp.org/tlog-proof@v1\nindex 1\n": "proof",
    b"0\x82\x05\x00\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02": "cms",
    write_zip([("mimetype", b"x")]): "asic",
    write_zip([("mimetype", b"x"), ("a.pdf", b"%PDF-1.7\n")]): "asic",
    b"<doc>%PDF-1.7</doc>": "xml",
    b"rubbish\n%PDF-1.7\n": "pdf",
    b"": "unknown",
    b"hello": "unknown",
    b"\x89PNG\r\n": "unknown",
    b"< doc/>": "unknown",
}


@pytest.mark.parametrize("data", KINDS)
def test_a_file_is_recognised_by_its_content(data: bytes) -> None:
    assert recognise(data) == KINDS[data]


def test_each_kind_is_judged_with_what_fits(
    sealed: bytes, declared: bytes, person: DevIdentity, agency: DevIdentity, now: datetime, context: Context
) -> None:
    signed = sign_xml(b"<doc/>", credential=person.credential, at=now)
    container = agency_container([("a.txt", b"x", "text/plain")], credential=agency.credential, at=now)
    for data, kind in ((sealed, "edxml"), (declared, "receipt"), (signed, "xml"), (container, "asic")):
        report = inspect_file(data, context=context)
        assert (report.kind, report.verdict) == (kind, Verdict.VALID)


def test_a_sealed_message_whose_seal_is_gone_has_no_signature(sealed: bytes, context: Context) -> None:
    start, end = sealed.index(b"<ds:Signature "), sealed.index(b"</ds:Signature>") + len(b"</ds:Signature>")
    report = inspect_file(sealed[:start] + sealed[end:], context=context)
    assert (report.kind, report.verdict, report.reasons[0].code) == (
        "edxml",
        Verdict.INDETERMINATE,
        Code.NO_SIGNATURE,
    )


@pytest.mark.parametrize(("data", "code"), [(b"hello", Code.UNSUPPORTED_FORMAT), (b"", Code.UNREADABLE)])
def test_an_unknown_file_is_reported(data: bytes, code: Code, context: Context) -> None:
    report = inspect_file(data, context=context)
    assert (report.kind, report.verdict, report.reasons[0].code) == ("unknown", Verdict.INDETERMINATE, code)


@given(st.one_of(st.binary(max_size=300), st.text("<>/a=\"' xmlns:?!-[]&;#", max_size=60).map(str.encode)))
def test_whatever_a_file_holds_there_is_a_report(context: Context, data: bytes) -> None:
    """G2; PDF has its own tests."""
    if recognise(data) != "pdf":
        small = replace(context, limits=Limits(xml_elements=100))
        assert isinstance(inspect_file(data, context=small), Report)


def test_judging_xml_loads_nothing_of_pdf_store_or_network() -> None:
    """signing.md 11, dependencies.md 5."""
    program = (
        "import sys\nimport signer.xml.profiles, signer.xml.verify, signer.xml.sign, signer.asic, signer.inspect\n"
        "bad = {'pyhanko', 'sqlmodel', 'aiohttp', 'sqlalchemy'} & set(sys.modules)\n"
        "sys.exit(','.join(sorted(bad)) or 0)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
