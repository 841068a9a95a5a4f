"""What an attacker would do in the demonstration: a changed copy on the wire, a letter signed after revocation."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from signer.devpki import DevIdentity, DevPki, DevTimestamper
from signer.pdf.sign import PdfOptions, sign_pdf
from transport.courier import Parcel
from transport.demo.letter import sample
from transport.demo.offices import Office
from transport.dispatch import Key
from transport.http.addresses import Reach
from transport.http.client import HttpCarrier
from transport.http.wire import RequestKey
from transport.receipts import parse
from transport.settings import load
from transport.store import quick
from transport.store.store import Store


def put_changed_copy(home: Path, recipient: Office, *, clock: Callable[[], datetime]) -> str:
    """Send a sealed message of this home with one byte changed, under a new id; return the reason of the refusal."""
    settings = load(home=home, config=None, environ={}, overrides={})
    with Store.open(settings, read_only=True) as store:
        row = store.read(
            lambda connection: connection.exec_driver_sql(
                "SELECT sha256 FROM message WHERE kind = 'edoc' ORDER BY id LIMIT 1"
            ).one()
        )
        data = store.fetch(str(row[0]))
    place = data.index(b"Subject>") + len(b"Subject>") + 2
    changed = data[:place] + (b"X" if data[place : place + 1] != b"X" else b"Y") + data[place + 1 :]
    entry = next(one for one in quick.keys(home) if one.role == "request")
    key = RequestKey.from_pem((home / entry.file).read_bytes(), None)
    parcel = Parcel(
        key=Key("H99.01", recipient.code, str(uuid.uuid4())),
        data=changed,
        sha256=sha256(changed).hexdigest(),
        size=len(changed),
        endpoint=recipient.url,
    )
    return asyncio.run(_put(parcel, key, clock))


async def _put(parcel: Parcel, key: RequestKey, clock: Callable[[], datetime]) -> str:
    async with HttpCarrier(request_key=key, clock=clock, tls=None, reach=Reach.of((), demo=True)) as carrier:
        reply = await carrier.carry(parcel)
    if reply.kind != "receipt":
        return reply.problem or reply.kind
    reasons = parse(reply.body).reasons
    return reasons[0].code if reasons else "accepted"


def late_letter(pki: DevPki, people: Mapping[str, DevIdentity], *, clock: Callable[[], datetime]) -> bytes:
    """Sign the letter with the revoked leader's key and the agency's, past every check that the command makes."""
    stamps = DevTimestamper(pki, clock)
    options = PdfOptions(at=clock(), level="t", profile="interop")
    data = sign_pdf(
        sample("letter.pdf"), credential=people["a-person"].credential, options=options, timestamper=stamps
    ).data
    return data
