"""Names that look alike, by the skeletons of UTS 39 (Unicode Security Mechanisms, section 4)."""

import unicodedata
from functools import lru_cache

from smart_support.settings import ROOT

_FILE = ROOT / "data" / "unicode" / "confusables.txt"
# Default_Ignorable_Code_Point of Unicode 15: characters without a glyph. First and last of each range.
_IGNORABLE = (
    *((0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5)),
    *((0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164)),
    *((0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3)),
    *((0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)


def skeleton(text: str) -> str:
    """The skeleton of a text: equal for texts that look alike. For comparison only, not for display.

    As in UTS 39, section 4: NFD, without default-ignorable characters, each character replaced by its
    prototype, NFD again.
    """
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).translate(_prototypes()))


@lru_cache(maxsize=10_000)
def look_alikes(name: str) -> frozenset[str]:
    """Keys of a name. Two names that share one can be mistaken for each other.

    A skeleton alone keeps upper and lower case apart, and folding the case first would separate `I` from
    `l`. So a name has the skeletons of several forms of it. White space counts as one space.
    """
    normalized = unicodedata.normalize("NFKC", name)
    forms = (name, normalized, name.casefold(), normalized.casefold(), skeleton(normalized).casefold())
    return frozenset(" ".join(skeleton(form).split()) for form in forms)


@lru_cache(maxsize=1)
def _prototypes() -> dict[int, str | None]:
    mapping: dict[int, str | None] = {}
    for line in _FILE.read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            character, _, prototype = line.partition(" ; ")
            mapping[int(character, 16)] = "".join(chr(int(point, 16)) for point in prototype.split())
    for first, last in _IGNORABLE:
        mapping |= dict.fromkeys(range(first, last + 1))
    return mapping
