"""The settings that exist (console.md 6): name, default, form and meaning, as data.

``edoc help config`` prints from this table, the loader refuses what is not in it, and nothing else knows a default.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = str | int | float | bool | tuple[str, ...] | None
"""Value of a setting; None where there is no default."""

MIB = 1024 * 1024


class BadValue(ValueError):
    """A value does not have the form of its setting; the text says what is accepted."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. ``read`` takes what TOML, environment or option gave and returns the value, or raises BadValue."""

    key: str
    default: Value
    read: Callable[[object], Value]
    vi: str
    en: str
    example: str = ""  # TOML text of a value, where the default is none

    @property
    def section(self) -> str:
        """Part before the point, empty for settings of the top."""
        return self.key.rpartition(".")[0]


def text(raw: object) -> Value:
    """A text of one line."""
    if not isinstance(raw, str) or not raw.isprintable() or len(raw) > 1000:
        raise BadValue("một dòng chữ / a line of text")
    return raw.strip()


def flag(raw: object) -> Value:
    """true or false; options and environment may also say yes, no, 1, 0."""
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower()
    if word in ("true", "yes", "1", "on"):
        return True
    if word in ("false", "no", "0", "off"):
        return False
    raise BadValue("true, false")


def choice(*words: str) -> Callable[[object], Value]:
    """One of some words."""

    def read(raw: object) -> Value:
        if raw in words:
            return str(raw)
        raise BadValue(", ".join(words))

    return read


def whole(low: int, high: int) -> Callable[[object], Value]:
    """A whole number within bounds; sizes may carry kB, MB, KiB, MiB or GiB."""

    def read(raw: object) -> Value:
        value = _sized(raw) if isinstance(raw, str) else raw
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise BadValue(f"{low} … {high}")
        return value

    return read


_UNITS = {"": 1, "kb": 1000, "mb": 10**6, "gb": 10**9, "kib": 1024, "mib": MIB, "gib": 1024 * MIB}
_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", re.ASCII)


def _sized(raw: str) -> int | None:
    match = _QUANTITY.fullmatch(raw.strip())
    unit = _UNITS.get(match[2].lower()) if match else None
    return None if match is None or unit is None else round(float(match[1]) * unit)


def seconds(low: float, high: float) -> Callable[[object], Value]:
    """A time in seconds; texts may carry s, min, h or d."""

    def read(raw: object) -> Value:
        value: object = raw
        if isinstance(raw, str):
            match = _QUANTITY.fullmatch(raw.strip())
            unit = _SECONDS.get(match[2].lower()) if match else None
            value = None if match is None or unit is None else float(match[1]) * unit
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise BadValue(f"{low:g} s … {high:g} s")
        return float(value)

    return read


def measure(raw: object) -> Value:
    """A length in millimetres, or a size of letters in points."""
    try:
        value = float(raw) if isinstance(raw, int | float | str) and not isinstance(raw, bool) else -1.0
    except ValueError:
        value = -1.0
    if not 0 <= value <= 500:
        raise BadValue("0 … 500")
    return value


def clock(raw: object) -> Value:
    """A time of the day, HH:MM."""
    if isinstance(raw, str) and re.fullmatch(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", raw, re.ASCII):
        return raw
    raise BadValue("HH:MM")


def web_address(raw: object) -> Value:
    """An address beginning with http:// or https://, without name and password in it."""
    if isinstance(raw, str) and re.fullmatch(r"https?://[^\s/@]+(?:/[^\s]*)?", raw.strip(), re.ASCII):
        return raw.strip()
    raise BadValue("http://… , https://…")


def web_addresses(raw: object) -> Value:
    """One address, or a list of them in the order in which they are tried; in one line separated by spaces."""
    items = raw.split() if isinstance(raw, str) else raw
    if not isinstance(items, list) or len(items) > 20:
        raise BadValue("http://… , https://…")
    found = tuple(str(web_address(item)) for item in items)
    return found[0] if len(found) == 1 else found or None


def networks(raw: object) -> Value:
    """A list of address ranges in CIDR form; in options and environment separated by commas."""
    items = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(items, list):
        raise BadValue('["10.0.0.0/8"]')
    try:
        return tuple(str(ipaddress.ip_network(str(item).strip())) for item in items if str(item).strip())
    except ValueError as error:
        raise BadValue('["10.0.0.0/8"]') from error


def object_identifiers(raw: object) -> Value:
    """A list of object identifiers in dotted form; in options and environment separated by commas."""
    items = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(items, list) or not all(isinstance(item, str) and _OID.fullmatch(item.strip()) for item in items):
        raise BadValue('["1.3.6.1.5.5.7.3.36"]')
    return tuple(item.strip() for item in items)


_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,38})){1,30}", re.ASCII)
_GIB = 1024 * MIB
_DAY = 86400

_MEASURE_TEXTS = (
    ("seal_diameter", 36.0, "đường kính con dấu, mm (R40)", "diameter of the seal, mm (R40)"),
    (
        "seal_rise",
        4.0,
        "nâng con dấu nhiều nhất, mm (0: không)",
        "most a seal is raised off the name, mm (0: never)",
    ),
    ("signature_width", 50.0, "bề rộng hình chữ ký, mm (R39)", "width of the signature, mm (R39)"),
    ("signature_height", 25.0, "bề cao hình chữ ký, mm", "height of the signature, mm"),
    ("signature_gap", 2.0, "khoảng từ chữ ký đến họ tên, mm", "between signature and name, mm"),
    (
        "line_right",
        10.0,
        "dòng T1, T2: cách mép phải, mm (R41, R42)",
        "lines T1, T2: from the right edge, mm (R41, R42)",
    ),
    ("line_baseline", 12.0, "đường chân chữ, cách mép trên, mm", "baseline, from the top, mm"),
    ("line_height", 5.0, "bề cao khung dòng, mm", "height of the line's box, mm"),
    ("line_width", 120.0, "bề rộng lớn nhất của dòng, mm", "greatest width of the line, mm"),
    ("line_step", 4.0, "khoảng cách dòng thứ hai, mm", "distance of a second line, mm"),
    ("line_size", 10.0, "cỡ chữ của dòng, pt", "size of the line's letters, pt"),
    ("line_size_least", 8.0, "cỡ chữ nhỏ nhất của dòng, pt", "least size of its letters, pt"),
    ("value_size", 13.0, "cỡ chữ của số và ngày: 13 hoặc 14 pt (R35)", "size of number and date: 13 or 14 pt (R35)"),
)
_MEASURES: tuple[Setting, ...] = (
    *(Setting(f"geometry.{name}", size, measure, vi, en) for name, size, vi, en in _MEASURE_TEXTS),
    Setting(
        "geometry.state_name",
        "105,15,90,25",
        text,
        "vùng Quốc hiệu không đóng dấu lên: X,Y,W,H mm, trang 1",
        "block of the State's name that no seal touches: X,Y,W,H mm, page 1",
    ),
    Setting(
        "geometry.time_template",
        "offset",
        choice("offset", "iso"),
        "cách viết giờ ở dòng T1, T2",
        "how lines T1, T2 write the time",
    ),
)
"""Measures of the visible forms, per agency (signing.md 3.3); their bounds are checked where they are used."""

SETTINGS: tuple[Setting, ...] = (
    Setting("lang", "vi", choice("vi", "en"), "ngôn ngữ hiển thị", "language of messages"),
    Setting("demo", False, flag, "cho phép HTTP thường trên máy này (R93)", "allow plain HTTP on loopback (R93)"),
    Setting("agency.code", None, text, "mã định danh cơ quan", "code of the agency", '"H99.01"'),
    Setting("agency.name", None, text, "tên cơ quan", "name of the agency", '"Sở Mẫu A"'),
    Setting(
        "database.url",
        None,
        text,
        "cơ sở dữ liệu; mặc định là tệp SQLite trong thư mục nút",
        "database; a SQLite file in the home if not set",
        '"sqlite:////srv/edoc/edoc.db"',
    ),
    Setting(
        "blobs.url",
        None,
        text,
        "kho đối tượng kiểu S3 giữ gói tin lớn; mặc định là tệp trong thư mục nút (cần phần mở rộng s3)",
        "S3-compatible store of large messages; files in the home if not set (needs the extra s3)",
        '"s3://edoc/nut-1"',
    ),
    Setting("blobs.endpoint", None, text, "địa chỉ dịch vụ S3", "address of the S3 service", '"https://s3.example"'),
    Setting("blobs.region", None, text, "vùng của dịch vụ S3", "region of the S3 service", '"vn-1"'),
    Setting(
        "ledger.side_file",
        None,
        text,
        "tệp ghi trạng thái sổ cái ngoài cơ sở dữ liệu, nên đặt ở ổ đĩa khác; mặc định heads.log trong thư mục nút",
        "file with the ledger's heads outside the database, best on another volume; heads.log in the home if not set",
        '"/mnt/khac/heads.log"',
    ),
    Setting("keys.person", None, text, "khóa ký của cá nhân", "key of a person", '"lanh-dao"'),
    Setting("keys.agency", None, text, "khóa ký của cơ quan", "key of the agency", '"van-thu"'),
    Setting("keys.exchange", None, text, "khóa niêm gói tin và biên nhận", "key of seals and receipts", '"trao-doi"'),
    Setting("keys.request", None, text, "khóa ký yêu cầu HTTP", "key of HTTP requests", '"yeu-cau"'),
    Setting(
        "keys.keyring",
        True,
        flag,
        "tìm mã PIN trong kho mật khẩu của máy trước khi hỏi (cần phần mở rộng keyring)",
        "look for the PIN in the system's keyring before asking (needs the extra keyring)",
    ),
    Setting(
        "hsm.module",
        None,
        text,
        "thư viện PKCS#11 của USB ký số (cần phần mở rộng hsm)",
        "PKCS#11 library of the token (needs the extra hsm)",
        '"/usr/lib/libeps2003csp11.so"',
    ),
    Setting(
        "tsa.url",
        None,
        web_addresses,
        "máy chủ dấu thời gian; nhiều máy chủ được hỏi lần lượt",
        "time-stamping service; several are asked in turn",
        '["https://tsa.example/", "https://tsa2.example/"]',
    ),
    Setting("tsa.timeout", 180.0, seconds(1, 600), "chờ mỗi máy chủ tối đa (R32)", "longest wait for each (R32)"),
    Setting("sign.profile", "interop", choice("interop", "strict"), "bộ thuật toán khi ký", "algorithms when signing"),
    Setting(
        "sign.level",
        "t",
        choice("b", "t", "lt", "lta"),
        "mức chữ ký; t = có dấu thời gian",
        "level; t = with timestamp",
    ),
    Setting(
        "sign.signature_picture",
        None,
        text,
        "ảnh PNG chữ ký của người ký (R39)",
        "PNG of the signature of the person (R39)",
        '"/etc/edoc/chu-ky.png"',
    ),
    Setting(
        "sign.seal_picture",
        None,
        text,
        "ảnh PNG con dấu của cơ quan (R40)",
        "PNG of the seal of the agency (R40)",
        '"/etc/edoc/dau.png"',
    ),
    *_MEASURES,
    Setting(
        "sign.extended_usages",
        (),
        object_identifiers,
        "mục đích sử dụng mở rộng khác của chứng thư cũng được dùng để ký (OID)",
        "further extended usages a certificate may have to sign with (OIDs)",
        '["1.3.6.1.4.1.311.20.2.2"]',
    ),
    Setting(
        "verify.policy",
        "interop",
        choice("strict", "interop", "integrity-only"),
        "chính sách kiểm tra chữ ký",
        "policy when judging signatures",
    ),
    Setting(
        "verify.network",
        "offline",
        choice("offline", "online"),
        "có hỏi trạng thái chứng thư qua mạng hay không",
        "whether certificate status may be fetched",
    ),
    Setting(
        "verify.algorithms",
        None,
        text,
        "tệp TOML thay cho bảng thuật toán kèm theo",
        "TOML file instead of the algorithm table that ships",
        '"/etc/edoc/algorithms.toml"',
    ),
    Setting(
        "verify.pictures",
        False,
        flag,
        "so cả hình ảnh các trang PDF bị đụng tới sau khi ký (cần phần mở rộng preview; lệnh verify)",
        "compare touched pages of a PDF as pictures too (needs the extra preview; command verify)",
    ),
    Setting(
        "network.private",
        (),
        networks,
        "các dải địa chỉ riêng được phép kết nối",
        "private ranges that may be reached",
        '["10.0.0.0/8"]',
    ),
    Setting(
        "exchange.delivery",
        "push",
        choice("push", "pull"),
        "push: nơi khác gửi đến nút này; pull: nút này tự đến lấy",
        "push: partners send to this node; pull: this node fetches by itself",
    ),
    Setting(
        "exchange.endpoint",
        None,
        web_address,
        "địa chỉ trao đổi của nút này như các nơi khác gọi",
        "address of this node's exchange as partners call it",
        '"https://vb.example/exchange/v1"',
    ),
    Setting(
        "exchange.resumable_upload",
        False,
        flag,
        "nhận tệp lớn theo từng phần, tiếp tục được khi đứt",
        "take large messages in parts, to be continued after a cut",
    ),
    Setting(
        "exchange.proxies",
        (),
        networks,
        "proxy TLS đáng tin được gửi Client-Cert",
        "TLS proxies whose Client-Cert is believed",
        '["127.0.0.1/32"]',
    ),
    Setting(
        "exchange.follow_trace",
        False,
        flag,
        "nối tiếp dấu vết (traceparent) của nơi gửi",
        "continue the trace context of partners",
    ),
    Setting("deadline.send_noon", "12:00", clock, "giờ cuối để gửi trong ngày (R9)", "last hour of the day (R9)"),
    Setting("deadline.urgent", 3600.0, seconds(60, _DAY), "thời hạn gửi văn bản khẩn (R11)", "for urgent ones (R11)"),
    Setting("web.session_idle", 1800.0, seconds(60, _DAY), "phiên web hết hạn sau", "web session ends after"),
    Setting("web.public_check", False, flag, "trang kiểm tra công khai", "public page for checking"),
    Setting("limits.pdf_max_bytes", 256 * 10**6, whole(1, 2 * _GIB), "cỡ tệp PDF lớn nhất", "largest PDF"),
    Setting("limits.message_max_bytes", 150 * 10**6, whole(1, 2 * _GIB), "cỡ gói tin lớn nhất", "largest message"),
    Setting(
        "limits.attachment_max_bytes", 50 * 10**6, whole(1, 2 * _GIB), "cỡ tệp đính kèm (R98)", "largest file (R98)"
    ),
    Setting("limits.attachments_max", 200, whole(1, 10_000), "số tệp đính kèm", "files in a message"),
    Setting("limits.recipients_max", 500, whole(1, 5_000), "số nơi nhận mỗi lần gửi", "recipients of a message"),
    Setting("limits.receipt_max_bytes", 128 * 1024, whole(16 * 1024, MIB), "cỡ biên nhận", "largest receipt"),
    Setting("limits.metadata_max_bytes", 256 * 1024, whole(16 * 1024, MIB), "cỡ thông tin nút", "largest metadata"),
    Setting("limits.problem_max_bytes", 16 * 1024, whole(1024, MIB), "cỡ thông báo lỗi", "largest problem"),
    Setting("limits.xml_depth_max", 32, whole(8, 256), "độ sâu XML", "depth of XML"),
    Setting("limits.xml_attributes_max", 32, whole(4, 256), "số thuộc tính mỗi phần tử", "attributes of an element"),
    Setting(
        "limits.xml_elements_of_a_kind_max", 1000, whole(10, 100_000), "số phần tử cùng loại", "elements of a kind"
    ),
    Setting(
        "limits.xml_skeleton_max_bytes", 4 * MIB, whole(65536, 64 * MIB), "cỡ XML không kể tệp", "XML without files"
    ),
    Setting("limits.zip_ratio_max", 200, whole(2, 10_000), "tỷ lệ giải nén ZIP (kiểm tra)", "ZIP ratio (checks)"),
    Setting(
        "limits.spool_memory_max", 32 * MIB, whole(MIB, 4 * _GIB), "bộ nhớ cho gói tin đang nhận", "held in memory"
    ),
    Setting("limits.feed_wait_max", 60.0, seconds(0, 600), "chờ hàng đợi (pull) tối đa", "longest wait of a feed"),
    Setting("limits.feed_items_max", 100, whole(1, 1000), "số gói tin mỗi trả lời (pull)", "messages of a feed"),
    Setting("limits.request_line_max_bytes", 4096, whole(512, 65536), "dòng yêu cầu HTTP", "request line"),
    Setting("limits.header_max_bytes", 16 * 1024, whole(1024, 262144), "cỡ một trường HTTP", "one header field"),
    Setting("limits.headers_max", 64, whole(16, 1000), "số trường HTTP", "header fields"),
    Setting("limits.tls_handshake_time", 10.0, seconds(1, 600), "bắt tay TLS", "TLS handshake"),
    Setting("limits.header_time", 10.0, seconds(1, 600), "nhận đủ phần đầu", "receiving the head"),
    Setting("limits.body_idle_time", 30.0, seconds(1, 3600), "không có byte nào", "without a byte"),
    Setting("limits.body_total_time", 21600.0, seconds(10, 7 * _DAY), "nhận đủ phần thân", "receiving a body"),
    Setting("limits.body_min_rate", 16 * 1024, whole(1, _GIB), "byte mỗi giây ít nhất", "bytes a second at least"),
    Setting("limits.keepalive_idle_time", 60.0, seconds(1, 3600), "giữ kết nối rỗi", "idle connection"),
    Setting("limits.write_time", 60.0, seconds(1, 3600), "gửi trả lời", "sending an answer"),
    Setting("limits.connect_time", 10.0, seconds(1, 600), "mở kết nối", "opening a connection"),
    Setting("limits.answer_time", 120.0, seconds(1, 3600), "chờ trả lời sau byte cuối", "answer after the last byte"),
    Setting("limits.requests_per_partner", 8, whole(1, 1000), "yêu cầu cùng lúc mỗi nơi", "requests at once each"),
    Setting("limits.rate_per_partner", 50.0, seconds(1, 10_000), "yêu cầu mỗi giây mỗi nơi", "requests a second each"),
    Setting("limits.requests_unauthenticated", 16, whole(1, 1000), "yêu cầu chưa xác thực", "not yet authenticated"),
    Setting("limits.connections_max", 1000, whole(1, 100_000), "kết nối cùng lúc", "connections at once"),
    Setting("limits.connections_per_address", 50, whole(1, 100_000), "kết nối mỗi địa chỉ", "of one address"),
    Setting("limits.requests_max", 64, whole(1, 10_000), "yêu cầu cùng lúc", "requests at once"),
    Setting("limits.disk_reserve_bytes", 2 * _GIB, whole(0, 1 << 50), "phần đĩa để dành", "disk kept free"),
    Setting("limits.clock_skew_request", 60.0, seconds(1, 3600), "lệch giờ của yêu cầu", "clock skew of requests"),
    Setting("limits.clock_skew_seal", 300.0, seconds(1, 3600), "lệch giờ của niêm", "clock skew of seals"),
    Setting("limits.clock_skew_warn", 5.0, seconds(1, 3600), "lệch giờ thì cảnh báo (R7)", "warned about (R7)"),
    Setting("limits.revocation_grace", 86400.0, seconds(0, 30 * _DAY), "dùng tiếp CRL quá hạn", "after nextUpdate"),
)
"""Every setting, in the order of the annotated example."""

KNOWN: dict[str, Setting] = {setting.key: setting for setting in SETTINGS}


SERVICE = re.compile(r"csc\.([a-z0-9][a-z0-9_-]{0,31})\.([a-z_]+)", re.ASCII)
"""Name of a setting of a remote signing service: ``[csc.NAME]`` (signing.md 2)."""

SERVICE_SETTINGS: dict[str, Setting] = {
    setting.key: setting
    for setting in (
        Setting("url", None, web_address, "địa chỉ gốc của dịch vụ", "base address", '"https://csc.example/csc/v2"'),
        Setting(
            "api", None, choice("v1", "v2"), "phiên bản giao diện; mặc định hỏi dịch vụ", "version of the API", '"v2"'
        ),
        Setting(
            "credential", None, text, "mã chứng thư ở dịch vụ, nếu có nhiều", "credential id, of several", '"van-thu-1"'
        ),
        Setting(
            "bearer_file", None, text, "tệp chứa mã truy cập OAuth2", "file with the OAuth2 access token", '"/run/csc"'
        ),
        Setting(
            "ca", None, text, "chứng thư gốc TLS của dịch vụ (PEM)", "TLS roots of the service (PEM)", '"/etc/csc.pem"'
        ),
        Setting("timeout", 60.0, seconds(1, 600), "chờ trả lời tối đa", "longest wait for an answer"),
    )
}
"""Settings of one remote signing service, by the last part of their name."""


def known(key: str) -> Setting | None:
    """Return the setting of a name, those of ``[csc.NAME]`` among them."""
    service = SERVICE.fullmatch(key)
    return SERVICE_SETTINGS.get(service[2]) if service else KNOWN.get(key)
