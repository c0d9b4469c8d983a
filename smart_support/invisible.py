"""The characters that have no ink: in a text they can't be seen, or look like an ordinary space.

Pages and messages show them as symbols. The console's `static/shell/dom.js` does so by the same table, which
its page contains.
"""

import re

# From Unicode: the property Default_Ignorable_Code_Point, the general categories Cc, Cf, Co, Cs, Zl, Zp, Zs
# and noncharacters, without the tab, the line feed and the ordinary space; and characters that are drawn
# blank: U+2800, U+FFFC, U+13441, U+13442, U+16FE4, U+1D159. `tests/pages/test_invisible.py` derives it again.
# fmt: off
RANGES: tuple[tuple[int, int], ...] = (
    (0x0, 0x8), (0xB, 0x1F), (0x7F, 0xA0), (0xAD, 0xAD), (0x34F, 0x34F), (0x600, 0x605),
    (0x61C, 0x61C), (0x6DD, 0x6DD), (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2),
    (0x115F, 0x1160), (0x1680, 0x1680), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2000, 0x200F),
    (0x2028, 0x202F), (0x205F, 0x206F), (0x2800, 0x2800), (0x3000, 0x3000), (0x3164, 0x3164),
    (0xD800, 0xF8FF), (0xFDD0, 0xFDEF), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFC), (0xFFFE, 0xFFFF), (0x110BD, 0x110BD), (0x110CD, 0x110CD), (0x13430, 0x1343F),
    (0x13441, 0x13442), (0x16FE4, 0x16FE4), (0x1BCA0, 0x1BCA3), (0x1D159, 0x1D159),
    (0x1D173, 0x1D17A), (0x1FFFE, 0x1FFFF), (0x2FFFE, 0x2FFFF), (0x3FFFE, 0x3FFFF),
    (0x4FFFE, 0x4FFFF), (0x5FFFE, 0x5FFFF), (0x6FFFE, 0x6FFFF), (0x7FFFE, 0x7FFFF),
    (0x8FFFE, 0x8FFFF), (0x9FFFE, 0x9FFFF), (0xAFFFE, 0xAFFFF), (0xBFFFE, 0xBFFFF),
    (0xCFFFE, 0xCFFFF), (0xDFFFE, 0xE0FFF), (0xEFFFE, 0x10FFFF),
)
# fmt: on
# Symbols that may be part of an emoji: a variation selector or a joiner after one changes what is drawn.
SYMBOLS = ((0x2600, 0x27BF), (0x1F000, 0x1FAFF))


def character_class(ranges: tuple[tuple[int, int], ...]) -> str:
    """The ranges as a character class of a regular expression."""
    return "[" + "".join(f"\\U{first:08X}-\\U{last:08X}" for first, last in ranges) + "]"


_INVISIBLE = re.compile(character_class(RANGES))
_SYMBOL = character_class(SYMBOLS)
_EMOJI_OR_INVISIBLE = re.compile(f"({_SYMBOL}\ufe0f?(?:\u200d{_SYMBOL}\ufe0f?)*)|{character_class(RANGES)}")
# What many languages need in ordinary sentences: joiners, variation selectors, wider and narrower spaces.
_IN_PROSE = frozenset("\u200c\u200d\ufe0e\ufe0f\u00a0\u202f\u3000")


def visible(text: str) -> str:
    """Replace characters without ink by visible symbols: `␀`, `⟨U+202E⟩`. Emoji stay as they are."""
    return _EMOJI_OR_INVISIBLE.sub(lambda match: match[1] or _symbol(match[0]), text.replace("\r\n", "\n"))


def exact(text: str) -> str:
    """As `visible`, inside emoji too: for values, in which nothing may be hidden."""
    return _INVISIBLE.sub(lambda match: _symbol(match[0]), text.replace("\r\n", "\n"))


def prose(text: str) -> str:
    """As `visible`, except for what many languages need in ordinary sentences. Not for what is approved."""
    return _INVISIBLE.sub(
        lambda match: match[0] if match[0] in _IN_PROSE else _symbol(match[0]), text.replace("\r\n", "\n")
    )


def _symbol(character: str) -> str:
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"
