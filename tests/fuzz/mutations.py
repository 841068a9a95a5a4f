"""How a file is changed: bytes of any kind, and the parts of each format (signing.md 10, A5).

Every mutation takes the file and a source of chance and returns another file, possibly the same.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Sequence
from random import Random

from lxml import etree

Mutation = Callable[[bytes, Random], bytes]
TOKENS = (b"0", b"-1", b"65535", b"2147483648", b"<<", b">>", b"[", b"]", b"(", b")", b"null", b"R", b"obj", b"\0")


def position(data: bytes, chance: Random) -> int:
    """Choose a place; in long runs of zeros (reserved space) seldom."""
    place = chance.randrange(len(data))
    for _ in range(8):
        if data[place : place + 16].strip(b"0"):
            return place
        place = chance.randrange(len(data))
    return place


def flip(data: bytes, chance: Random) -> bytes:
    """Change one bit."""
    place = position(data, chance)
    return data[:place] + bytes((data[place] ^ 1 << chance.randrange(8),)) + data[place + 1 :]


def replace(data: bytes, chance: Random) -> bytes:
    """Put another byte."""
    place = position(data, chance)
    return data[:place] + bytes((chance.randrange(256),)) + data[place + 1 :]


def cut(data: bytes, chance: Random) -> bytes:
    """Take a few bytes out."""
    place = position(data, chance)
    return data[:place] + data[place + chance.choice((1, 1, 2, 8, 64)) :]


def insert(data: bytes, chance: Random) -> bytes:
    """Put something in."""
    place = position(data, chance)
    return data[:place] + chance.choice((*TOKENS, chance.randbytes(chance.randint(1, 8)))) + data[place:]


def repeat(data: bytes, chance: Random) -> bytes:
    """Repeat a part, here or elsewhere."""
    start = position(data, chance)
    part = data[start : start + chance.choice((4, 32, 256, 2048))]
    place = position(data, chance)
    return data[:place] + part + data[place:]


def truncate(data: bytes, chance: Random) -> bytes:
    """Cut the end off."""
    return data[: position(data, chance)]


def number(data: bytes, chance: Random) -> bytes:
    """Change a number written in digits, keeping its length or not."""
    found = list(re.finditer(rb"(?<![0-9A-Fa-f])\d{1,10}(?![0-9A-Fa-f])", data[:65_536]))
    if not found:
        return flip(data, chance)
    one = chance.choice(found)
    value = max(0, int(one[0]) + chance.choice((-1, 1, 2, 10, -10, 1000)))
    text = b"%0*d" % (len(one[0]), value)
    return data[: one.start()] + text + data[one.end() :]


BYTES: tuple[Mutation, ...] = (flip, flip, replace, cut, insert, repeat, truncate, number)


# --- PDF -------------------------------------------------------------------------------------------------------------


def pdf_update(data: bytes, chance: Random) -> bytes:
    """Append an update that puts other objects in the place of some: what the forger of a signed file does."""
    bodies = _bodies(data)
    if not bodies:
        return flip(data, chance)
    changed = {}
    for number_ in chance.sample(sorted(bodies), chance.randint(1, min(3, len(bodies)))):
        donor = bodies[chance.choice(sorted(bodies))] if chance.random() < 0.3 else bodies[number_]
        changed[number_] = chance.choice((words, words, flip, cut, number))(donor, chance)
    return append(data, changed, chance)


def append(data: bytes, changed: dict[int, bytes], chance: Random) -> bytes:
    """Return the file with an incremental update of these objects; at times its cross-reference table is wrong."""
    out, rows = bytearray(data), []
    for number_, body in sorted(changed.items()):
        rows.append(b"%d 1\n%010d 00000 n \n" % (number_, len(out) + (chance.random() < 0.02)))
        out += b"%d 0 obj\n" % number_ + body + b"\nendobj\n"
    starts = re.findall(rb"startxref\s+(\d+)", data)
    roots = re.findall(rb"/Root\s+(\d+)", data)
    start = len(out)
    out += (
        b"xref\n"
        + b"".join(rows)
        + b"trailer\n<< /Size 99 /Root %s 0 R /Prev %s >>\n"
        % (
            roots[-1] if roots else b"1",
            chance.choice(starts) if starts and chance.random() < 0.1 else starts[-1] if starts else b"0",
        )
    )
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def _bodies(data: bytes) -> dict[int, bytes]:
    return {int(m[1]): m[2] for m in re.finditer(rb"(?<!\d)(\d{1,3}) 0 obj\s(.{1,60000}?)\sendobj", data, re.DOTALL)}


def words(body: bytes, chance: Random, tokens: Sequence[bytes] = TOKENS) -> bytes:
    """Exchange, drop or double one word of an object, or put one of the tokens in its place."""
    parts = re.split(rb"(\s+|(?=[/<>\[\]()]))", body)
    place = chance.randrange(len(parts))
    match chance.randrange(4):
        case 0:
            parts[place] = parts[chance.randrange(len(parts))]
        case 1:
            parts[place] = b""
        case 2:
            parts.insert(place, parts[chance.randrange(len(parts))])
        case _:
            parts[place] = chance.choice(tokens)
    return b"".join(parts)


def pdf_tail(data: bytes, chance: Random) -> bytes:
    """Put bytes behind the end, some of them an object no table names."""
    return data + chance.choice(
        (b"\n", b"\0" * 7, b"%%EOF\n", b"4 0 obj\n<< /Length 0 >>\nstream\n\nendstream\nendobj\n")
    )


def pdf_ranges(data: bytes, chance: Random) -> bytes:
    """Write other numbers into a byte range."""
    found = list(re.finditer(rb"/ByteRange\s*\[([\d\s]+)\]", data))
    if not found:
        return flip(data, chance)
    one = chance.choice(found)
    numbers = [int(text) for text in one[1].split()]
    numbers[chance.randrange(len(numbers))] += chance.choice((-1, 1, -16, 16, 1000))
    text = b" ".join(b"%d" % abs(value) for value in numbers)
    return data[: one.start(1)] + text.ljust(len(one[1]))[: max(len(one[1]), len(text))] + data[one.end(1) :]


# --- XML -------------------------------------------------------------------------------------------------------------


def xml_tree(data: bytes, chance: Random) -> bytes:
    """Move, copy, drop, rename or wrap an element, or change a text or an attribute."""
    try:
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return flip(data, chance)
    nodes = [node for node in root.iter() if isinstance(node.tag, str)]
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        chance.choice((_move, _copy, _drop, _rename, _wrap, _text, _attribute, _attribute, _comment))(nodes, chance)
    return etree.tostring(root)


Nodes = Sequence[etree._Element]


def _move(nodes: Nodes, chance: Random) -> None:
    node, target = chance.choice(nodes), chance.choice(nodes)
    if node.getparent() is not None and target not in set(node.iter()):
        target.insert(chance.randint(0, len(target)), node)


def _copy(nodes: Nodes, chance: Random) -> None:
    target = chance.choice(nodes)
    target.insert(
        chance.randint(0, len(target)), etree.fromstring(etree.tostring(chance.choice(nodes), with_tail=False))
    )


def _drop(nodes: Nodes, chance: Random) -> None:
    node = chance.choice(nodes)
    parent = node.getparent()
    if parent is not None:
        parent.remove(node)


def _rename(nodes: Nodes, chance: Random) -> None:
    chance.choice(nodes).tag = chance.choice(nodes).tag


def _wrap(nodes: Nodes, chance: Random) -> None:
    node = chance.choice(nodes)
    parent = node.getparent()
    if parent is not None:
        wrapper = etree.Element(str(chance.choice(nodes).tag))
        parent.replace(node, wrapper)
        wrapper.append(node)


def _text(nodes: Nodes, chance: Random) -> None:
    node = chance.choice(nodes)
    node.text = chance.choice(((node.text or "") + " ", "", "9", (node.text or "x")[:-1], chance.choice(nodes).text))


def _attribute(nodes: Nodes, chance: Random) -> None:
    node = chance.choice(nodes)
    names = [*node.attrib, "Id", "URI", "Algorithm", "Type"]
    values = [*(value for one in nodes for value in one.attrib.values()), "", "#letter", "x"]
    name = chance.choice(names)
    if name in node.attrib and chance.random() < 0.2:
        del node.attrib[name]
    else:
        node.set(name, chance.choice(values))


def _comment(nodes: Nodes, chance: Random) -> None:
    node = chance.choice(nodes)
    node.insert(
        chance.randint(0, len(node)), chance.choice((etree.Comment("x"), etree.ProcessingInstruction("x", "y")))
    )


# --- CMS -------------------------------------------------------------------------------------------------------------


def der_tree(data: bytes, chance: Random) -> bytes:
    """Drop, double, exchange or alter one node of the tree, with all lengths made right again."""
    tree = _parse(data, 0, len(data), 0)
    if not tree:
        return flip(data, chance)
    nodes = [node for top in tree for node in _walk(top)]
    target, donor = chance.choice(nodes), chance.choice(nodes)
    match chance.randrange(6):
        case 0:
            target.children = target.children and target.children[:-1]
        case 1 if target.children:
            target.children = [*target.children, chance.choice(target.children)]
        case 2 if donor is not target and donor not in _walk(target) and target not in _walk(donor):
            target.tag, target.children, target.value = donor.tag, donor.children, donor.value
        case 3:
            target.tag = bytes((chance.randrange(256),))
        case 4 if target.children:
            target.children = chance.sample(target.children, len(target.children))
        case _ if target.children is None and target.value:
            target.value = flip(target.value, chance)
    return b"".join(_encode(top) for top in tree)


class _Node:
    """One element of BER: a tag, and children or a value."""

    def __init__(self, tag: bytes, children: list[_Node] | None, value: bytes) -> None:
        self.tag, self.children, self.value = tag, children, value


def _parse(data: bytes, start: int, end: int, depth: int) -> list[_Node]:
    """Parse definite lengths; what is written otherwise is one value."""
    nodes = []
    while start + 2 <= end:
        tag, length, body = data[start : start + 1], data[start + 1], start + 2
        if length & 0x80:
            count = length & 0x7F
            if not 0 < count <= 4:
                return []
            length, body = int.from_bytes(data[body : body + count], "big"), body + count
        if body + length > end:
            return []
        children = _parse(data, body, body + length, depth + 1) if tag[0] & 0x20 and depth < 30 else None
        nodes.append(_Node(tag, children or None, data[body : body + length]))
        start = body + length
    return nodes if start == end else []


def _walk(node: _Node) -> list[_Node]:
    return [node, *(inner for child in node.children or () for inner in _walk(child))]


def _encode(node: _Node) -> bytes:
    body = node.value if node.children is None else b"".join(_encode(child) for child in node.children)
    if len(body) < 0x80:
        return node.tag + bytes((len(body),)) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return node.tag + bytes((0x80 | len(size),)) + size + body


# --- ZIP -------------------------------------------------------------------------------------------------------------


def zip_members(data: bytes, chance: Random) -> bytes:
    """Rebuild the container with a member renamed, doubled, dropped, exchanged, altered or added."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError, RuntimeError):
        return flip(data, chance)
    place, other = chance.randrange(len(members)), chance.randrange(len(members))
    name, content = members[place]
    match chance.randrange(7):
        case 0:
            members[place] = (chance.choice((name + "x", name.upper(), "../" + name, members[other][0])), content)
        case 1:
            members.insert(other, (name, content))
        case 2:
            del members[place]
        case 3:
            members[place] = (name, members[other][1])
        case 4 if content:
            members[place] = (name, flip(content, chance))
        case 5 if name.endswith(".xml"):
            members[place] = (name, xml_tree(content, chance))
        case _:
            members.append((chance.choice(("new.txt", "META-INF/signatures2.xml", "META-INF/x")), content))
    return _zipped(members)


def _zipped(members: Sequence[tuple[str, bytes]]) -> bytes:
    import warnings

    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # doubled names are what we want
        with zipfile.ZipFile(out, "w") as archive:
            for name, content in members:
                archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


PARTS: dict[str, tuple[Mutation, ...]] = {
    "pdf": (pdf_update, pdf_update, pdf_update, pdf_tail, pdf_ranges),
    "xml": (xml_tree,),
    "cms": (der_tree,),
    "zip": (zip_members,),
}


def mutate(data: bytes, kind: str, chance: Random) -> bytes:
    """Change a file once, at times twice or three times, half of the time by its parts."""
    for _ in range(chance.choice((1, 1, 1, 1, 2, 3))):
        if not data:
            break
        choice = PARTS[kind] if chance.random() < 0.5 else BYTES
        data = chance.choice(choice)(data, chance)
    return data
