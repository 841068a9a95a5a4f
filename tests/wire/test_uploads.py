"""Resumable upload behind its flag: in parts, continued after a cut, and then received like any other (12)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from edoc import seal as seals
from tests import world as worlds
from tests.http.conftest import Office, Serve, serving, small
from tests.http.memory_node import MemoryNode
from tests.wire.conftest import A, B, Place, utc_now
from transport.dispatch import Key
from transport.http import wire
from transport.http.uploads import LASTS, PART_MAX
from transport.http.wire.fields import PARTIAL_TYPE, UPLOAD_DRAFT
from transport.store.values import RowFilter

_ = serving  # the fixture
K = Key("H99.01", "H99.02", "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4")
BODY = b"<edXML>" + bytes(range(48, 91)) * 3000 + b"</edXML>"


def digest(data: bytes) -> str:
    """A digest field."""
    return wire.format_digest(hashlib.sha256(data).hexdigest())


async def create(office: Office, body: bytes = BODY, key: Key = K, **how: object):  # type: ignore[no-untyped-def]  # an answer
    """Make an upload."""
    more = (
        ("Content-Length", "0"),
        ("Upload-Length", str(len(body))),
        ("Upload-Complete", "?0"),
        ("Repr-Digest", digest(body)),
    )
    return await office.ask(office.head("POST", wire.upload_path(key), more=more, **how), method="POST")  # type: ignore[arg-type]


async def part(office: Office, path: str, data: bytes, offset: int, *, last: bool, **changed: str):  # type: ignore[no-untyped-def]  # an answer
    """Append a part."""
    fields = {
        "Content-Type": PARTIAL_TYPE,
        "Content-Length": str(len(data)),
        "Content-Digest": digest(data),
        "Upload-Offset": str(offset),
        "Upload-Complete": "?1" if last else "?0",
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    head = office.head("PATCH", path, more=tuple(fields.items()))
    return await office.ask(head, data, method="PATCH")


async def test_without_the_flag_there_are_no_uploads(office: Office) -> None:
    assert (await create(office)).status == 404


@pytest.fixture
async def office(serving: Serve):  # type: ignore[no-untyped-def]  # a fixture
    """A served node in memory, without the flag."""
    async with serving() as one:
        yield one


async def test_a_message_in_parts_is_received_like_any_other(serving: Serve) -> None:
    async with serving(uploads=True) as one:
        made = await create(one)
        assert made.status == 201
        path = made.headers["location"]
        assert (made.headers["upload-offset"], made.headers["upload-complete"]) == ("0", "?0")
        assert made.headers["upload-draft-interop-version"] == UPLOAD_DRAFT
        step, at = 50_000, 0
        while at < len(BODY):
            piece = BODY[at : at + step]
            got = await part(one, path, piece, at, last=at + len(piece) == len(BODY))
            at += len(piece)
            if at < len(BODY):
                assert (got.status, got.headers["upload-offset"]) == (204, str(at))
        assert got.status == 201
        assert got.body == one.node.rows[K].receipt.data
        assert one.node.rows[K].sha256 == hashlib.sha256(BODY).hexdigest()
        again = await create(one)
        assert (again.status, again.body) == (200, got.body), "the stored receipt, nothing is sent again"
        assert not [path for path in one.spool.iterdir() if path.name.startswith("upload-")]


async def test_after_a_cut_the_offset_is_asked_for_and_the_rest_is_sent(serving: Serve) -> None:
    async with serving(uploads=True) as one:
        path = (await create(one)).headers["location"]
        assert (await part(one, path, BODY[:40_000], 0, last=False)).status == 204
        fields = (
            ("Content-Type", PARTIAL_TYPE),
            ("Content-Length", "50000"),
            ("Content-Digest", digest(BODY[40_000:90_000])),
            ("Upload-Offset", "40000"),
            ("Upload-Complete", "?0"),
        )
        line = await one.open()
        line.writer.write(one.head("PATCH", path, more=fields) + BODY[40_000:50_000])
        await line.writer.drain()
        line.writer.close()  # the connection is lost in the middle of a part
        made = await create(one)
        assert made.headers["location"] == path, "the same upload for the same K and bytes"
        while True:  # the part that was cut is let go as soon as its loss is noticed
            asked = await one.ask(one.head("HEAD", path), method="HEAD")
            wrong = await part(one, path, BODY[40_000:], 40_000, last=True)
            if wrong.status != 409:
                break
        assert (asked.status, asked.headers["upload-offset"]) == (204, "40000")
        assert wrong.status == 201


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Content_Digest": digest(b"other")}, 400),
        ({"Upload_Offset": "5"}, 409),
        ({"Upload_Offset": "x"}, 400),
        ({"Upload_Complete": "?2"}, 400),
        ({"Content_Type": "text/plain"}, 415),
        ({"Upload_Complete": "?1"}, 400),
    ],
)
async def test_a_part_that_does_not_fit_changes_nothing(serving: Serve, changed: dict[str, str], status: int) -> None:
    async with serving(uploads=True) as one:
        path = (await create(one)).headers["location"]
        assert (await part(one, path, BODY[:1000], 0, last=False, **changed)).status == status
        asked = await one.ask(one.head("HEAD", path), method="HEAD")
        assert asked.headers["upload-offset"] == "0"


async def test_a_whole_that_differs_from_its_digest_is_dropped_and_uses_up_no_id(serving: Serve) -> None:
    async with serving(uploads=True) as one:
        path = (await create(one)).headers["location"]
        other = bytes(len(BODY))
        assert (await part(one, path, other, 0, last=True)).status == 400
        assert (await one.ask(one.head("HEAD", path), method="HEAD")).status == 404
        assert not one.node.rows


async def test_an_upload_is_its_makers_alone_and_a_day_old_one_goes(serving: Serve) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    from tests.http.memory_node import spki

    stranger = wire.RequestKey.of(ec.generate_private_key(ec.SECP256R1()))
    node = MemoryNode()
    node.callers[stranger.keyid] = wire.Caller("H99.05", ("H99.05",), spki(stranger), stranger.alg)
    async with serving(node, uploads=True) as one:
        path = (await create(one)).headers["location"]
        assert (await one.ask(one.head("HEAD", path, key=stranger), method="HEAD")).status == 404
        assert (await create(one, key=replace(K, sender="H99.05"))).status == 403
        one.clock.now += LASTS
        other = await create(one, BODY + b"!", replace(K, message_id="7f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4"))
        assert other.status == 201
        assert (await one.ask(one.head("HEAD", path), method="HEAD")).status == 404
        gone = await one.ask(one.head("DELETE", other.headers["location"]), method="DELETE")
        assert gone.status == 204
        assert not [left for left in one.spool.iterdir() if left.name.startswith("upload-")]


async def test_uploads_outlive_the_process_and_count_as_reserved_disk(serving: Serve) -> None:
    async with serving(uploads=True) as one:
        path = (await create(one)).headers["location"]
        await part(one, path, BODY[:40_000], 0, last=False)
    async with serving(uploads=True) as two:
        assert (await two.ask(two.head("HEAD", path), method="HEAD")).headers["upload-offset"] == "40000"
        got = await part(two, path, BODY[40_000:], 40_000, last=True)
        assert got.status == 201


async def test_parts_may_reach_different_processes_of_a_server(serving: Serve, tmp_path: Path) -> None:
    """Two servers over one node and one folder, as ``serve --workers 2`` has them."""
    node, shared = MemoryNode(), tmp_path / "shared"
    async with (
        serving(node, uploads=True, uploads_folder=shared) as one,
        serving(node, uploads=True, uploads_folder=shared) as two,
    ):
        path = (await create(one)).headers["location"]
        assert (await create(two)).headers["location"] == path, "the same upload for the same K and bytes"
        assert (await part(one, path, BODY[:40_000], 0, last=False)).status == 204
        assert (await two.ask(two.head("HEAD", path), method="HEAD")).headers["upload-offset"] == "40000"
        assert (await part(two, path, BODY[40_000:80_000], 40_000, last=False)).status == 204
        got = await part(one, path, BODY[80_000:], 80_000, last=True)
        assert (got.status, got.body) == (201, node.rows[K].receipt.data)
        assert (await two.ask(two.head("HEAD", path), method="HEAD")).status == 404
        assert not list(shared.glob("upload-*"))


async def test_while_one_process_receives_a_part_another_answers_in_progress(serving: Serve, tmp_path: Path) -> None:
    node, shared = MemoryNode(), tmp_path / "shared"
    async with (
        serving(node, uploads=True, uploads_folder=shared) as one,
        serving(node, uploads=True, uploads_folder=shared) as two,
    ):
        path = (await create(one)).headers["location"]
        fields = (
            ("Content-Type", PARTIAL_TYPE),
            ("Content-Length", "50000"),
            ("Content-Digest", digest(BODY[:50_000])),
            ("Upload-Offset", "0"),
            ("Upload-Complete", "?0"),
        )
        line = await one.open()
        line.writer.write(one.head("PATCH", path, more=fields) + BODY[:10_000])
        await line.writer.drain()
        async with asyncio.timeout(20):
            while (await two.ask(two.head("HEAD", path), method="HEAD")).headers["upload-offset"] == "0":
                pass  # until the other one is at it
            for refused in (
                await part(two, path, BODY[:50_000], 10_000, last=False),
                await two.ask(two.head("DELETE", path), method="DELETE"),
            ):
                problem = wire.read_problem(refused.body, refused.status)
                assert problem is not None
                assert (refused.status, problem.name) == (409, "in-progress")
            line.writer.close()
            while (await two.ask(two.head("DELETE", path), method="DELETE")).status == 409:
                pass  # until its loss is noticed
        assert not list(shared.glob("upload-*"))


@pytest.mark.parametrize(("size", "status"), [(999, 201), (1000, 201), (1001, 413)])
async def test_the_size_of_a_message_is_the_same_limit(serving: Serve, size: int, status: int) -> None:
    async with serving(uploads=True, limits=small(message_max_bytes=1000)) as one:
        assert (await create(one, bytes(size))).status == status


async def test_a_sealed_message_in_parts_becomes_a_document(place: Place) -> None:
    """Over real nodes: S7 to S12 are those of E1, and the receipt is the one E3 gives."""
    now = utc_now()
    content = b"%PDF-1.4\n" + bytes(6 * 1024 * 1024) + b"\n%%EOF\n"
    letter = seals.read_packed(worlds.letter(at=now, content=content))
    from signer.credential import Role, load_credential

    key = load_credential(
        (place.folder / A / "keys" / "trao-doi.pem").read_bytes(), role=Role.EXCHANGE, passphrase=None
    )
    data = seals.seal(letter, message_id=K.message_id, credential=key, at=now).data
    async with place.serving(B, uploads=True), place.carrier(A) as carrier:
        more = (
            ("Content-Length", "0"),
            ("Upload-Length", str(len(data))),
            ("Upload-Complete", "?0"),
            ("Repr-Digest", digest(data)),
        )
        url = place.url(B)
        made = await carrier.request("POST", url, wire.upload_path(K), fields=more)
        path = made.get("location") or ""
        for start in range(0, len(data), 3 * 1024 * 1024):
            piece = data[start : start + 3 * 1024 * 1024]
            fields = (
                ("Content-Type", PARTIAL_TYPE),
                ("Content-Length", str(len(piece))),
                ("Content-Digest", digest(piece)),
                ("Upload-Offset", str(start)),
                ("Upload-Complete", "?1" if start + len(piece) == len(data) else "?0"),
            )
            got = await carrier.request("PATCH", url, path, fields=fields, body=piece)
        assert got.status == 201, got.body
        stored = await carrier.get(url, wire.path_of(K, "/receipt"), within=30, most=10**6)
        assert stored.body == got.body
        metadata = json.loads((await carrier.metadata(url))[0])
    assert metadata["protocol"]["upload_draft"] == UPLOAD_DRAFT
    assert len(place.nodes[B].inbox(RowFilter()).rows) == 1
    assert PART_MAX >= 3 * 1024 * 1024
    assert timedelta(hours=24) == LASTS


async def test_the_carrier_sends_in_parts_goes_on_after_a_cut_and_sends_whole_where_none_are_taken(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transport.http import parts
    from transport.http.client import HttpCarrier
    from transport.node.outgoing import Outgoing

    monkeypatch.setattr(parts, "PART_BYTES", 100_000)
    ids = [place.queue(n, content=b"%PDF-1.4\n" + bytes(400_000) + b"\n%%EOF\n") for n in ("119", "120")]
    outgoing = Outgoing(place.nodes[A].office)
    claims = outgoing.claim(utc_now(), "courier", 2)
    methods: list[str] = []
    request = HttpCarrier.request

    async def cutting(self, method, *rest, **how):  # type: ignore[no-untyped-def]  # as the carrier's own
        methods.append(method)
        if methods.count("PATCH") == 2 and method == "PATCH":
            raise ConnectionResetError
        return await request(self, method, *rest, **how)

    monkeypatch.setattr(HttpCarrier, "request", cutting)
    async with place.carrier(A) as carrier:
        for claim, uploads in zip(claims, (True, False), strict=True):
            methods.clear()
            parcel = outgoing.parcel(claim, utc_now())
            assert parcel is not None
            async with place.serving(B, uploads=uploads):
                reply = await carrier.carry(replace(parcel, resumable=True))
            assert (reply.kind, reply.status, reply.exposed) == ("receipt", 201, True)
            outgoing.settle(claim, reply, utc_now())
            assert methods.count("PATCH") == (7 if uploads else 0)
            assert ("HEAD" in methods) is uploads
    assert [place.state(one) for one in ids] == ["delivered", "delivered"]
