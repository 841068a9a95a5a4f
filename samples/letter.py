"""The sample letter and its appendix as pure functions (Decree 30/2020, Appendix I).

Boxes are numbered as in the decree's template: 1 Quốc hiệu and Tiêu ngữ, 2 agency, 3 number, 4 place and date, 5b the
subject of an official letter, 6 content, 7a to 7c signer, 8 seal, 9b addressee. Number and date are left blank: the
agency adds them after the leader has signed (R35). Names are placeholders, as everywhere.
"""

from __future__ import annotations

from samples.typesetting import Page, build
from transport.demo.letter import LETTER

LEFT, RIGHT = 30.0, 195.0
"""Text area of an A4 page: margins 30 left, 15 right, 20 above and below."""
AGENCY_MIDDLE, STATE_MIDDLE = 62.5, 148.5
SIGNER_MIDDLE = LETTER.signature[0] + LETTER.signature[2] / 2
MADE = "D:20261120090000+07'00'"

PARAGRAPHS = (
    "Thực hiện Nghị định số 30/2020/NĐ-CP ngày 05 tháng 3 năm 2020 của Chính phủ về công tác văn thư, Sở Mẫu A đang "
    "chuẩn bị gửi, nhận văn bản điện tử có chữ ký số với các cơ quan, đơn vị trong tỉnh. Để việc thử nghiệm được thống "
    "nhất, Sở Mẫu A đề nghị Sở Mẫu B phối hợp thực hiện một số nội dung sau:",
    "1. Cử một lãnh đạo Văn phòng và một công chức văn thư làm đầu mối tiếp nhận, xử lý văn bản điện tử trong thời "
    "gian thử nghiệm.",
    "2. Kiểm tra chữ ký số của người có thẩm quyền, chữ ký số của cơ quan và dấu thời gian trên từng văn bản đến trước "
    "khi đăng ký; phản hồi trạng thái tiếp nhận, xử lý trên hệ thống theo quy định.",
    "3. Lưu biên nhận và hồ sơ chứng cứ của các văn bản đã trao đổi để đối chiếu khi kết thúc thử nghiệm.",
    "Danh mục văn bản thử nghiệm được gửi kèm theo Công văn này. Ý kiến phản hồi đề nghị gửi về Sở Mẫu A (qua Văn "
    "phòng Sở) trong thời hạn 05 ngày làm việc kể từ ngày nhận được Công văn để tổng hợp.",
    "Trân trọng cảm ơn sự phối hợp của Sở Mẫu B./.",
)
ROWS = (
    ("1", "Công văn", "Đề nghị cung cấp số liệu công tác văn thư", "Thường", "01"),
    ("2", "Giấy mời", "Họp thống nhất quy trình gửi, nhận văn bản", "Khẩn", "01"),
    ("3", "Kế hoạch", "Tập huấn sử dụng chữ ký số cho công chức", "Thường", "03"),
    ("4", "Thông báo", "Kết luận về việc lưu trữ văn bản điện tử", "Thường", "02"),
    ("5", "Báo cáo", "Kết quả thử nghiệm và các kiến nghị", "Hỏa tốc", "04"),
)


def letter() -> bytes:
    """Return the letter as PDF, number and date blank."""
    page = Page()
    _state(page)
    _agency(page)
    page.centred((LEFT + RIGHT) / 2, 72.5, "Kính gửi: Sở Mẫu B", size=14)
    baseline = 83.5
    for text in PARAGRAPHS:
        baseline = page.paragraph(LEFT, RIGHT, baseline, text, size=14, indent=12.7, step=7.1) + 2.3
    _signer(page)
    _recipients(page)
    return build(page, title=f"Công văn {LETTER.notation}: {LETTER.subject}", date=MADE)


def _state(page: Page) -> None:
    """Box 1 and, under it, box 4."""
    page.centred(STATE_MIDDLE, 25.0, "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", face="B", size=12.5)
    width = page.centred(STATE_MIDDLE, 31.0, "Độc lập - Tự do - Hạnh phúc", face="B", size=13.5)
    page.rule(STATE_MIDDLE - width / 2, 33.0, STATE_MIDDLE + width / 2, 33.0)
    baseline = LETTER.date[1] + LETTER.date[3] * 3 / 4
    place = f"{LETTER.place}, "
    page.text(LETTER.date[0] - page.width(place, "I", 13), baseline, place, face="I", size=13)


def _agency(page: Page) -> None:
    """Boxes 2, 3 and 5b."""
    page.centred(AGENCY_MIDDLE, 25.0, "ỦY BAN NHÂN DÂN TỈNH MẪU", size=12.5)
    width = page.centred(AGENCY_MIDDLE, 31.0, "SỞ MẪU A", face="B", size=12.5)
    page.rule(AGENCY_MIDDLE - width / 3, 33.0, AGENCY_MIDDLE + width / 3, 33.0)
    x, y, width, height = LETTER.number
    baseline = y + height * 3 / 4
    label = "Số: "
    page.text(x - page.width(label, "R", 13), baseline, label)
    page.text(x + width, baseline, f"/{LETTER.notation}")
    page.centred(AGENCY_MIDDLE, 51.5, "V/v phối hợp thử nghiệm gửi,", size=12.5)
    page.centred(AGENCY_MIDDLE, 56.8, "nhận văn bản điện tử", size=12.5)


def _signer(page: Page) -> None:
    """Boxes 7a and 7b; 7c, the signature (R39), is far enough above the name that the seal keeps off it (R40)."""
    _, y, _, height = LETTER.signature
    page.centred(SIGNER_MIDDLE, y - 11.0, "KT. GIÁM ĐỐC", face="B", size=13)
    page.centred(SIGNER_MIDDLE, y - 5.0, "PHÓ GIÁM ĐỐC", face="B", size=13)
    top = y + height + 2.8
    name = page.faces["B"]
    page.centred(
        SIGNER_MIDDLE, top + name.ascent_of(LETTER.signer) * 13 / 1000 * 25.4 / 72, LETTER.signer, face="B", size=13
    )


def _recipients(page: Page) -> None:
    """Box 9b."""
    y = LETTER.signature[1] - 11.0
    page.text(LEFT, y, "Nơi nhận:", face="BI", size=12)
    for number, line in enumerate(("- Như trên;", "- Giám đốc Sở (để báo cáo);", "- Lưu: VT, VP."), 1):
        page.text(LEFT, y + 0.4 + 4.8 * number, line, size=11)


def appendix() -> bytes:
    """Return the appendix as PDF; its guide line stays unfilled (R43)."""
    page = Page()
    middle = (LEFT + RIGHT) / 2
    page.centred(middle, 27.0, "Phụ lục", face="B", size=14)
    page.centred(middle, 34.0, "DANH MỤC VĂN BẢN THỬ NGHIỆM", face="B", size=14)
    width = page.centred(
        middle,
        41.0,
        "(Kèm theo Công văn số:        /SMA-VP ngày      tháng      năm         của Sở Mẫu A)",
        face="I",
        size=13,
    )
    page.rule(middle - width / 6, 43.5, middle + width / 6, 43.5)
    columns = (LEFT, LEFT + 11, LEFT + 37, LEFT + 123, LEFT + 144, RIGHT)
    top, height = 52.0, 10.0
    heads = ("TT", "Tên loại", "Trích yếu nội dung", "Độ khẩn", "Số trang")
    for number, row in enumerate((heads, *ROWS)):
        baseline = top + height * number + 6.4
        for column, text in enumerate(row):
            face = "B" if number == 0 else "R"
            centre = (columns[column] + columns[column + 1]) / 2
            if number and column in (1, 2):
                page.text(columns[column] + 2, baseline, text, size=13)
            else:
                page.centred(centre, baseline, text, face=face, size=13)
    bottom = top + height * (len(ROWS) + 1)
    for line in range(len(ROWS) + 2):
        page.rule(LEFT, top + height * line, RIGHT, top + height * line, weight=0.5)
    for x in columns:
        page.rule(x, top, x, bottom, weight=0.5)
    page.paragraph(
        LEFT,
        RIGHT,
        bottom + 10,
        "Ghi chú: Các văn bản trong Danh mục chỉ dùng để thử nghiệm gửi, nhận và kiểm tra chữ ký số.",
        size=13,
        step=6.2,
    )
    return build(page, title="Phụ lục: Danh mục văn bản thử nghiệm", date=MADE)
