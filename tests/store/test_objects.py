"""Large blobs in an S3-compatible store (exchange.md 9): uploaded before the commit, its SHA-256 sent along."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from tests import s3
from tests.postgres import Server
from tests.store.conftest import PlainLog, count, new_arrival, new_receipt, open_log, settings_of
from transport.dispatch import Key
from transport.errors import SettingsError, StoreError
from transport.settings import Settings, load
from transport.store import backup, inbox, restore
from transport.store.blobs import Blobs
from transport.store.objects import Objects, open_objects
from transport.store.store import Store, Unit

AT = datetime(2026, 11, 20, tzinfo=UTC)
LARGE = os.urandom(1_000_000)
DIGEST = hashlib.sha256(LARGE).hexdigest()
NAME = f"sha256/{DIGEST[:2]}/{DIGEST[2:4]}/{DIGEST}"


@pytest.fixture(scope="session")
def service() -> Iterator[s3.Service]:
    """An S3 service; without its parts the tests are skipped by name, under CI=true they fail."""
    if (reason := s3.missing()) is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with s3.running() as made:
        yield made


@pytest.fixture
def bucket(service: s3.Service) -> str:
    """A bucket of the test."""
    return service.bucket()


@pytest.fixture
def objects(service: s3.Service, bucket: str, tmp_path: Path) -> Objects:
    """Blobs in the bucket, with an empty folder of before."""
    return open_objects(f"s3://{bucket}/nut-1", Blobs(tmp_path / "blobs"), endpoint=service.endpoint, region=None)


@pytest.fixture
def with_objects(settings: Settings, service: s3.Service, bucket: str) -> Settings:
    """Settings of a node that keeps its large blobs in the bucket."""
    settings.home.mkdir(mode=0o700, exist_ok=True)
    path = settings.home / "edoc.toml"
    before = path.read_text("utf-8") if path.is_file() else ""
    path.write_text(f'{before}\n[blobs]\nurl = "s3://{bucket}/nut-1"\nendpoint = "{service.endpoint}"\n', "utf-8")
    return settings_of(settings.home)


def receive(store: Store, body: bytes) -> str:
    """Accept a letter with these bytes; return their digest."""
    staged = store.stage(body)
    key = Key("H99.01", "H99.02", staged.digest[:36])

    def accept(unit: Unit) -> None:
        unit.keep(staged)
        receipt = new_receipt(key, AT, direction="out")
        inbox.accept(unit, key, new_arrival(AT, sha256=staged.digest, size=staged.size), receipt, unit.append(b"x"))

    store.do(accept)
    return staged.digest


def test_what_is_put_comes_back(objects: Objects) -> None:
    assert objects.put(LARGE) == DIGEST
    assert objects.get(DIGEST) == LARGE
    assert objects.has(DIGEST)


class Heard(BaseHTTPRequestHandler):
    """Takes uploads and keeps what was said with them."""

    said: ClassVar[list[dict[str, str]]] = []

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.said.append({name.lower(): value for name, value in self.headers.items()} | {"size": str(len(body))})
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_an_upload_is_signed_and_brings_its_sha256_so_that_the_service_can_refuse_altered_bytes(
    tmp_path: Path, service: s3.Service
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Heard) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        open_objects("s3://kho/nut-1", Blobs(tmp_path), endpoint=address, region="vn-1").put(LARGE)
        server.shutdown()
    (said,) = Heard.said
    assert said["x-amz-checksum-sha256"] == base64.b64encode(hashlib.sha256(LARGE).digest()).decode("ascii")
    assert said["authorization"].startswith("AWS4-HMAC-SHA256 Credential=mau/")
    assert "/vn-1/s3/" in said["authorization"]
    assert "x-amz-checksum-sha256" in said["authorization"]
    assert said["size"] == str(len(LARGE))


def test_a_file_is_uploaded_and_goes_and_one_with_other_bytes_is_refused(objects: Objects, tmp_path: Path) -> None:
    path = tmp_path / "spool"
    path.write_bytes(LARGE)
    with pytest.raises(StoreError) as other:
        objects.put_file(path, "00" * 32)
    assert (other.value.code, path.exists()) == ("EDOC-STO-006", True)
    objects.put_file(path, DIGEST)
    assert not path.exists()
    assert objects.get(DIGEST) == LARGE


def test_a_large_file_goes_up_in_parts_and_is_read_in_pieces(objects: Objects, tmp_path: Path) -> None:
    data = os.urandom(1024) * 20_000
    digest = hashlib.sha256(data).hexdigest()
    path = tmp_path / "spool"
    path.write_bytes(data)
    objects.put_file(path, digest)
    hashed = hashlib.sha256()
    with objects.opened(digest) as file:
        while chunk := file.read(256 * 1024):
            assert len(chunk) <= 256 * 1024
            hashed.update(chunk)
        file.seek(1024)
        assert file.read(1024) == data[1024:2048]
    assert hashed.hexdigest() == digest


def test_altered_and_missing_objects_are_told_apart(objects: Objects, service: s3.Service, bucket: str) -> None:
    objects.put(LARGE)
    service.call("PUT", f"/{bucket}/nut-1/{NAME}", b"other bytes")
    with pytest.raises(StoreError) as altered:
        objects.get(DIGEST)
    objects.remove(DIGEST)
    objects.remove(DIGEST)
    assert not objects.has(DIGEST)
    with pytest.raises(StoreError) as missing:
        objects.get(DIGEST)
    assert (altered.value.code, missing.value.code) == ("EDOC-STO-006", "EDOC-STO-008")


def test_a_service_that_does_not_answer_is_named_and_nothing_is_relied_on(tmp_path: Path, service: s3.Service) -> None:
    away = open_objects("s3://kho/x", Blobs(tmp_path), endpoint="http://127.0.0.1:9", region=None)
    for act in (lambda: away.put(LARGE), lambda: away.get(DIGEST), lambda: away.has(DIGEST)):
        with pytest.raises(StoreError) as caught:
            act()
        assert caught.value.code == "EDOC-STO-023"
        assert "127.0.0.1" not in f"{caught.value} {caught.value.facts}"


def test_blobs_of_before_are_read_from_their_files(objects: Objects, tmp_path: Path) -> None:
    Blobs(tmp_path / "blobs").put(LARGE)
    assert objects.get(DIGEST) == LARGE
    assert [digest for digest, _ in objects.listed()] == [DIGEST]


def test_objects_are_listed_with_the_time_of_their_upload(objects: Objects) -> None:
    objects.put(LARGE)
    ((digest, at),) = list(objects.listed())
    assert digest == DIGEST
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60


def test_a_name_that_is_no_digest_reaches_no_object(objects: Objects) -> None:
    for name in ("../x", "A" * 64, ""):
        with pytest.raises(ValueError, match="digest"):
            objects.get(name)


@pytest.mark.parametrize("url", ["http://kho/x", "s3://", "s3://a:b@kho/x", "kho"])
def test_an_address_that_is_no_bucket_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        open_objects(url, Blobs(tmp_path), endpoint=None, region=None)
    assert caught.value.code == "EDOC-CFG-016"


def test_a_node_keeps_large_messages_as_objects_and_small_ones_in_rows(with_objects: Settings) -> None:
    """On both databases: what is committed is in the bucket, and read again from there."""
    with Store.create(with_objects, PlainLog()) as store:
        open_log(store)
        digest = receive(store, LARGE)
        small = store.do(lambda unit: unit.keep(store.stage(b"small")))
        assert (store.fetch(digest), store.fetch(small)) == (LARGE, b"small")
        assert not list((with_objects.home / "blobs").rglob(digest))
        assert isinstance(store.blobs, Objects)
        with store.reading(digest) as file:
            assert file.read(10) == LARGE[:10]
        store.check_blob(digest)
        spool = with_objects.home / "spool-file"
        other = LARGE + b"2"
        spool.write_bytes(other)
        staged = store.stage_file(spool, hashlib.sha256(other).hexdigest(), len(other))
        assert store.blobs.has(staged.digest)


def test_when_the_upload_fails_nothing_is_committed(with_objects: Settings, service: s3.Service, bucket: str) -> None:
    with Store.create(with_objects, PlainLog()) as store:
        open_log(store)
        service.call("DELETE", f"/{bucket}")
        with pytest.raises(StoreError) as caught:
            receive(store, LARGE)
        assert caught.value.code in {"EDOC-STO-023", "EDOC-STO-008"}
        assert count(store, "SELECT count(*) FROM inbox") == 0


def test_backup_brings_objects_home_and_a_restored_node_reads_them(
    with_objects: Settings, tmp_path: Path, database: Server | None
) -> None:
    with Store.create(with_objects, PlainLog()) as store:
        digest = store.do(lambda unit: unit.keep(store.stage(LARGE)))
        backup.write(store, tmp_path / "backup", now=AT)
    assert list((tmp_path / "backup" / "blobs").rglob(digest))
    url = None if database is None else database.url(database.create())

    def elsewhere(home: Path) -> Settings:
        overrides = {"database.url": url} if url else {}
        return load(home=home, config=None, environ={}, overrides=overrides)

    restore.into(tmp_path / "restored", tmp_path / "backup", elsewhere)
    with Store.open(elsewhere(tmp_path / "restored"), read_only=True) as back:
        assert back.fetch(digest) == LARGE
