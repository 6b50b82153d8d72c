"""What a person, or a phone's camera, sees of a terminal."""

from __future__ import annotations

from dataclasses import dataclass

import pyte
import zxingcpp

from tests.support.npm import COLUMNS

# npm's QR code: every module is two spaces on a black or a white ground, with a white border of one module.
_GROUND = {"black": 0, "white": 255}
_MODULE_WIDTH = 2
# Wider and longer than any terminal in the tests: a line that would wrap is then seen to be too long.
_WIDE, _LONG = 240, 600
_SCALE = 4


@dataclass(frozen=True)
class QrCode:
    """A QR code as drawn: its width in columns, and what a camera reads."""

    columns: int
    text: str

    @property
    def fits(self) -> bool:
        """Whether its lines fit a terminal of 80 columns."""
        return self.columns <= COLUMNS


def qr_code(raw: bytes) -> QrCode:
    """The last QR code that was drawn in `raw`, the bytes of a terminal."""
    screen = pyte.Screen(_WIDE, _LONG)
    pyte.ByteStream(screen).feed(raw)
    lines = [_grounds(screen, row) for row in range(_LONG)]
    drawn = [row for row, line in enumerate(lines) if line]
    if not drawn:
        raise AssertionError("no QR code was drawn")
    first = drawn[-1]
    while first - 1 in drawn:
        first -= 1
    block = lines[first : drawn[-1] + 1]
    if len({len(line) for line in block}) != 1:
        raise AssertionError(f"the lines of the QR code differ in length: {[len(line) for line in block]}")
    return QrCode(len(block[0]), _decode([line[::_MODULE_WIDTH] for line in block]))


def _grounds(screen: pyte.Screen, row: int) -> list[int]:
    """The grey values of the cells of one line that are drawn in black or white, without gaps from the left."""
    cells: list[int] = []
    for column in range(_WIDE):
        ground = _GROUND.get(screen.buffer[row][column].bg)
        if ground is None:
            break
        cells.append(ground)
    return cells


def _decode(modules: list[list[int]]) -> str:
    """Photograph the modules, with the quiet zone that a terminal's own ground gives, and read them."""
    quiet = 4
    width = (len(modules[0]) + 2 * quiet) * _SCALE
    blank = bytes([255]) * width
    rows = [blank] * (quiet * _SCALE)
    for line in modules:
        grey = bytes(value for value in [255] * quiet + line + [255] * quiet for _ in range(_SCALE))
        rows += [grey] * _SCALE
    rows += [blank] * (quiet * _SCALE)
    image = memoryview(b"".join(rows)).cast("B", shape=[len(rows), width])
    found = zxingcpp.read_barcodes(image, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    if len(found) != 1:
        raise AssertionError(f"{len(found)} QR codes were read where one was drawn")
    return str(found[0].text)
