"""The report as one HTML file: no script, nothing loaded from anywhere, every value escaped (signing.md 8, console 7).

A content security policy in the file forbids everything but its own style, named by digest, so that even a fault here
could load or run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape

from transport.present.reports import svg
from transport.present.reports.blocks import Answers, Banner, Block, Facts, Grid, Heading, Page, Picture, Points

_SIGNS = {"good": "✔", "bad": "✘", "open": "?", "plain": "·"}

STYLE = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0 auto;padding:32px 24px 64px;max-width:900px;color:#14181d;background:#fff;
font:16px/1.5 "Times New Roman",Tinos,"Liberation Serif",serif}
header{border-bottom:2px solid #14181d;padding-bottom:12px;margin-bottom:8px}
h1{font-size:28px;line-height:1.25;margin:0 0 8px}
header p{margin:2px 0;color:#44515f}
h2{font-size:21px;line-height:1.3;margin:40px 0 12px;padding-top:16px;border-top:1px solid #c3cad2;
overflow-wrap:anywhere}
h3{font-size:18px;margin:30px 0 10px;overflow-wrap:anywhere}
h4{font-size:16px;margin:20px 0 6px;color:#44515f}
.banner{border-left:8px solid;padding:12px 16px;margin:12px 0;background:#f5f6f8}
.banner strong{font-size:19px;display:block}
.good{color:#1b6e3c}.bad{color:#a4161a}.open{color:#8a5a00}.plain{color:#44515f}
.banner span,.answers dd span{color:#14181d}
.banner.good{border-color:#1b6e3c}.banner.bad{border-color:#a4161a}.banner.open{border-color:#8a5a00}
dl{display:grid;grid-template-columns:minmax(140px,220px) 1fr;gap:4px 16px;margin:8px 0}
dt{color:#44515f}
dd{margin:0;overflow-wrap:anywhere;unicode-bidi:isolate}
dl.answers{grid-template-columns:1fr;gap:0;border:1px solid #c3cad2}
dl.answers dt{padding:10px 14px 0;font-weight:bold;color:#14181d}
dl.answers dd{padding:2px 14px 10px;border-bottom:1px solid #c3cad2}
dl.answers dd:last-child{border-bottom:0}
dl.answers b{margin-right:8px}
table{border-collapse:collapse;width:100%;margin:8px 0;font-size:15px}
th,td{border:1px solid #c3cad2;padding:5px 8px;text-align:left;vertical-align:top;overflow-wrap:anywhere;
min-width:6.2em;unicode-bidi:isolate}
th{background:#f5f6f8;font-weight:bold}
code,.mono{font:13px/1.5 "DejaVu Sans Mono",Consolas,monospace;overflow-wrap:anywhere}
ul{margin:6px 0;padding-left:22px}
li{overflow-wrap:anywhere;unicode-bidi:isolate;margin:3px 0}
figure{margin:10px 0}
svg{max-width:100%;height:auto;display:block}
footer{margin-top:40px;border-top:1px solid #c3cad2;padding-top:10px;color:#44515f;font-size:14px}
@media (max-width:560px){dl{grid-template-columns:1fr}dt{margin-top:6px}body{padding:16px}table{font-size:14px}}
@media print{body{max-width:none;padding:0;font-size:11pt}h2{break-before:auto}.banner,dl.answers,figure,tr{
break-inside:avoid}h2,h3,h4{break-after:avoid}@page{size:A4;margin:18mm 16mm}}
""".strip()


def render(page: Page) -> bytes:
    """Return the whole file, UTF-8."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode("utf-8")).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = escape(page.title)
    lines = "".join(f"<p>{escape(line)}</p>" for line in page.lines)
    body = "\n".join(_block(block) for block in page.blocks)
    text = (
        f'<!DOCTYPE html>\n<html lang="{escape(page.lang)}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="robots" content="noindex">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{title}</h1>{lines}</header>\n<main>\n{body}\n</main>\n"
        f"<footer>{escape(page.foot)}</footer>\n</body>\n</html>\n"
    )
    return text.encode("utf-8", "replace")


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
        case Banner():
            return (
                f'<div class="banner {block.tone}"><strong>{escape(block.word)}</strong>'
                f"<span>{escape(block.sentence)}</span></div>"
            )
        case Facts():
            return _facts(block)
        case Answers():
            return _answers(block)
        case Grid():
            return _grid(block)
        case Points():
            return _points(block)
        case Picture():
            return f"<figure>{svg.draw(block)}</figure>"


def _facts(block: Facts) -> str:
    def value(text: str, mono: bool) -> str:
        return f'<dd class="mono">{escape(text)}</dd>' if mono else f"<dd>{escape(text)}</dd>"

    return f"<dl>{''.join(f'<dt>{escape(name)}</dt>{value(text, mono)}' for name, text, mono in block.rows)}</dl>"


def _answers(block: Answers) -> str:
    rows = (
        f'<dt>{escape(question)}</dt><dd class="{tone}"><b>{_SIGNS[tone]}</b><span>{escape(answer)}</span></dd>'
        for question, tone, answer in block.rows
    )
    return f'<dl class="answers">{"".join(rows)}</dl>'


def _grid(block: Grid) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in block.head)
    rows = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in block.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _cell(text: str) -> str:
    digest = len(text) == 64 and not text.strip("0123456789abcdef")
    return f"<code>{escape(text)}</code>" if digest else escape(text).replace("_", "_<wbr>")


def _code(code: str) -> str:
    return f" <code>{escape(code)}</code>" if code else ""


def _points(block: Points) -> str:
    items = (f"<li>{escape(text)}{_code(code)}</li>" for code, text in block.items)
    return f"<ul>{''.join(items)}</ul>"
