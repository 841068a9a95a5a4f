"""What a run asks the status services of its certificates: each once, whoever's file needs it (console.md 4.1)."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from signer.credential import Role
from signer.devpki import DevPki, Subject, pem
from signer.report import Need
from signer.trust import TrustStore
from tests.console.conftest import Edoc
from tests.signer_pdf.files import simple
from transport.demo.pkiserver import PkiServer
from transport.desk.lifting import Answers

TODAY = datetime.now(UTC)
DEMO = {"EDOC_DEMO": "true"}
FILES = ("a.pdf", "b.pdf", "c.pdf")


class Counting(PkiServer):
    """An authority on loopback that remembers what it was asked."""

    asked: list[str]

    def get(self, path: str) -> tuple[str, bytes] | None:
        """Answer, and remember."""
        self.asked.append(path)
        return super().get(path)

    def post(self, path: str, body: bytes) -> tuple[str, bytes] | None:
        """Answer, and remember."""
        self.asked.append(path)
        return super().post(path, body)


@pytest.fixture
def server() -> Iterator[Counting]:
    """Return the authority, which answers on loopback."""
    found = Counting(clock=lambda: datetime.now(UTC))
    found.asked = []
    with found:
        yield found


@pytest.fixture
def desk(edoc: Edoc, server: Counting) -> Edoc:
    """A folder of letters, the leader's key and the root."""
    pki = DevPki.create(at=TODAY - timedelta(days=30), base_url=server.url)
    server.use(pki)
    leader = pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
    (edoc.folder / "leader.pem").write_bytes(leader.pem)
    (edoc.folder / "root.pem").write_bytes(pem(pki.root.certificate))
    for name in FILES:
        (edoc.folder / name).write_bytes(simple())
    return edoc.here()


def status(server: Counting) -> list[str]:
    """Return what was asked but for time stamps."""
    return [path for path in server.asked if path != "/tsa"]


def test_a_batch_asks_for_each_status_once(desk: Edoc, server: Counting) -> None:
    line = ("--key", "leader.pem", "--trust", "root.pem", "--tsa", server.tsa_url, "--level", "lta", "--json")
    one = desk("sign", FILES[0], "--jobs", "1", *line, "-o", "alone.pdf", env=DEMO)
    assert (one.code, one.json["files"][0]["level"]) == (0, "PAdES-B-LTA")
    alone = status(server)
    server.asked.clear()
    many = desk("sign", *FILES, "--jobs", "1", *line, env=DEMO)
    assert (many.code, many.json["summary"]["signed"]) == (0, len(FILES))
    assert status(server) == alone
    for name in FILES:
        offline = desk("verify", name.replace(".pdf", ".signed.pdf"), "--trust", "root.pem", "--json", env=DEMO)
        assert (offline.code, offline.json["files"][0]["verdict"]) == (0, "valid")


def test_extending_many_asks_for_each_status_once(desk: Edoc, server: Counting) -> None:
    line = ("--trust", "root.pem", "--tsa", server.tsa_url, "--json")
    assert desk("sign", *FILES, "--key", "leader.pem", *line, env=DEMO).code == 0
    signed = [name.replace(".pdf", ".signed.pdf") for name in FILES]
    server.asked.clear()
    assert desk("extend", signed[0], "-o", "alone.pdf", *line, env=DEMO).code == 0
    alone = status(server)
    server.asked.clear()
    many = desk("extend", *signed, *line, env=DEMO)
    assert (many.code, {file["to"] for file in many.json["files"]}) == (0, {"PAdES-B-LTA"})
    assert status(server) == alone


class TestAnswers:
    """An answer serves other files; one that did not help is asked for anew; a silent source is left in peace."""

    def test_for_another_file_nothing_is_asked_again(self) -> None:
        asked, answers = self._answers(TrustStore(crls=(b"list",)))
        for _ in range(3):
            assert answers.for_file()([need("one")]).crls == (b"list",)
        assert asked == ["one"]

    def test_for_the_same_file_it_is(self) -> None:
        asked, answers = self._answers(TrustStore(ocsps=(b"answer",)))
        fetch = answers.for_file()
        assert fetch([need("one"), need("two")]).ocsps == (b"answer",)
        fetch([need("one")])
        assert asked == ["one", "two", "one"]

    def test_a_source_that_gave_nothing_is_not_asked_for_every_file(self) -> None:
        asked, answers = self._answers(TrustStore())
        for _ in range(3):
            fetch = answers.for_file()
            assert fetch([need("one")]) == fetch([need("one")]) == TrustStore()
        assert asked == ["one"]

    @staticmethod
    def _answers(store: TrustStore) -> tuple[list[str], Answers]:
        asked: list[str] = []

        def ask(needs: Sequence[Need]) -> TrustStore:
            asked.extend(one.certificate.decode() for one in needs)
            return store

        return asked, Answers(ask)


def need(name: str) -> Need:
    """Return the need of a certificate's status."""
    return Need(name.encode(), None, (), ())
