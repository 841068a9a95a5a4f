"""Whom ``edoc sign`` asks for time stamps, in which order, and what it says if nobody serves (R32; signing.md 7.2)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from signer.credential import Role
from signer.devpki import DevPki, Subject, pem
from tests.console.conftest import Edoc
from tests.console.schema import problems
from tests.http.stampers import House
from tests.signer_pdf.files import simple
from transport.desk.console import Console
from transport.desk.signing import sign
from transport.desk.signrequest import KeyChoice, Request

TODAY = datetime.now(UTC)
FILES = tuple(f"{number}.pdf" for number in range(6))
LINE = ("--key", "leader.pem", "--trust", "root.pem", "--json")


@pytest.fixture(scope="module")
def pki() -> DevPki:
    """An authority of today; its certificates name no status source."""
    return DevPki.create(at=TODAY - timedelta(days=30))


@pytest.fixture
def house(pki: DevPki) -> Iterator[House]:
    """Good and false time-stamping authorities."""
    found = House(pki, DevPki.create(at=TODAY - timedelta(days=30)), datetime.now(UTC))
    yield found
    found.stop()


@pytest.fixture
def desk(edoc: Edoc, pki: DevPki) -> Edoc:
    """A folder of letters, the leader's key and the root."""
    leader = pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
    (edoc.folder / "leader.pem").write_bytes(leader.pem)
    (edoc.folder / "root.pem").write_bytes(pem(pki.root.certificate))
    for name in FILES:
        (edoc.folder / name).write_bytes(simple())
    return edoc.here()


def asking(house: House, *paths: str) -> tuple[str, ...]:
    """Return the options that name these authorities."""
    return tuple(word for path in paths for word in ("--tsa", house.base + path))


def demo(**more: str) -> dict[str, str]:
    """Return the environment: loopback may be asked."""
    return {"EDOC_DEMO": "true", **more}


@pytest.mark.parametrize("fault", ["/other-imprint", "/other-nonce", "/untrusted", "/garbage", "/cut", "/nowhere"])
def test_a_false_answer_leads_to_the_next(desk: Edoc, house: House, fault: str) -> None:
    ran = desk("sign", "0.pdf", *LINE, *asking(house, fault, "/good"), env=demo())
    assert problems(ran.json) == []
    entry = ran.json["files"][0]
    assert (ran.code, entry["level"], entry["error"]) == (0, "PAdES-B-T", None)
    assert entry["timestamp"]["tsa"] == "TSA THỬ NGHIỆM"
    assert (house.asked[0], house.asked[-1]) == (fault, "/good")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_one_that_keeps_everybody_waiting_is_waited_for_once_in_a_batch(desk: Edoc, house: House, jobs: str) -> None:
    """Its time is up with the first file; processes that sign the others know it as well."""
    words = (*asking(house, "/late", "/good"), "--jobs", jobs)
    ran = desk("sign", *FILES, *LINE, *words, env=demo(EDOC_TSA__TIMEOUT="3"))
    assert (ran.code, ran.json["summary"]["signed"]) == (0, len(FILES))
    assert (house.asked.count("/late"), house.asked.count("/good")) == (1, len(FILES))


def test_all_that_failed_are_named_and_no_lower_level_is_delivered(desk: Edoc, house: House) -> None:
    words = asking(house, "/late", "/other-nonce", "/untrusted", "/nowhere")
    ran = desk("sign", *FILES[:2], *LINE, *words, env=demo(EDOC_TSA__TIMEOUT="3"))
    assert problems(ran.json) == []
    assert ran.code == 4
    for entry in ran.json["files"]:
        error = entry["error"]
        assert (entry["status"], entry["output"], error["retryable"]) == ("failed", None, True)
        for part in ("/late (hết thời gian chờ", "/other-nonce (nonce", "/untrusted (TSA THỬ NGHIỆM", "/nowhere (404"):
            assert house.base + part in error["why"]
        assert "--level b" in error["next"]
    assert house.asked.count("/late") == 1
    assert not list(desk.folder.glob("*.signed.pdf"))


def test_the_settings_may_name_several(desk: Edoc, house: House) -> None:
    urls = ", ".join(f'"{house.base}{path}"' for path in ("/garbage", "/good"))
    (desk.folder / "edoc.toml").write_text(f"demo = true\n[tsa]\nurl = [{urls}]\n")
    ran = desk("sign", "0.pdf", *LINE, "--config", "edoc.toml")
    assert (ran.code, ran.json["files"][0]["level"]) == (0, "PAdES-B-T")
    assert house.asked == ["/garbage", "/good"]
    alone = desk("sign", "1.pdf", *LINE, "--config", "edoc.toml", *asking(house, "/nowhere"))
    assert alone.code == 4, "what the call names replaces the settings"


@pytest.mark.parametrize("name", ["a.xml", "a.txt"])
def test_other_formats_ask_in_turn_as_well(desk: Edoc, house: House, name: str) -> None:
    (desk.folder / name).write_bytes(b"<a>x</a>")
    words = ("--format", "cades") if name == "a.txt" else ()
    line = ("sign", name, *LINE, *words)
    ran = desk(*line, *asking(house, "/untrusted", "/other-imprint"), env=demo())
    assert (ran.code, ran.json["files"][0]["error"]["code"]) == (4, "EDOC-PKI-007")
    ran = desk(*line, *asking(house, "/untrusted", "/good"), env=demo())
    assert (ran.code, ran.json["files"][0]["error"]) == (0, None)


def test_a_file_is_signed_in_its_turn_not_when_the_batch_began(desk: Edoc) -> None:
    """After an hour of waiting for stamps the next letter states its own time, and is judged at it."""
    console = Console(("--json",), {})
    files = tuple(str(desk.folder / name) for name in FILES)
    key, root = str(desk.folder / "leader.pem"), str(desk.folder / "root.pem")
    begun, _ = sign(console, Request(files, TODAY, key=KeyChoice(key), trust=(root,), level="b"))
    later = replace(begun, started=begun.started - 3600).moved_on()
    assert timedelta(seconds=3600) <= later.request.at - TODAY < timedelta(seconds=3660)
    assert later.context.at == later.request.at
    assert later.moved_on().request.at - later.request.at < timedelta(seconds=60), "what has passed counts once"
