"""edXML, the format of QCVN 102:2016: a strict writer, a tolerant reader, and the check that they are inverse.

``write`` makes the tree, ``serialize`` its bytes, ``read`` the message again (edxml.md 2 to 13). Nothing here parses
bytes: whoever has bytes parses them safely first (``edoc.seal``).
"""

from edoc.edxml.compare import Known
from edoc.edxml.limits import ReadLimits
from edoc.edxml.reader import ReadResult, ReadWarning, Warning_, outline, read
from edoc.edxml.writer import canonical, serialize, write

__all__ = [
    "Known",
    "ReadLimits",
    "ReadResult",
    "ReadWarning",
    "Warning_",
    "canonical",
    "outline",
    "read",
    "serialize",
    "write",
]
