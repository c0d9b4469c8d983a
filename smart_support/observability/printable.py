"""Makes text safe for a terminal and for a log of lines.

Names, paths and messages in log lines come from anybody. A control character could move the cursor or forge a
line, a bidirectional one could show a line in another order than it is written.
"""

INDENT = "  "


def printable(text: str) -> str:
    r"""The text with every character that is not printable as its escape, such as `\x1b`, `\n` or `\u202e`.

    These are the characters of Unicode's categories "other" and "separator", except the space.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def indented(text: str) -> str:
    """Several lines, each printable, and indented so that none looks like the first line of an event."""
    return "\n".join(INDENT + printable(line.replace("\t", INDENT)) for line in text.rstrip("\n").split("\n"))
