"""How figures are put for people: units, changes, small lines, help, and links to what is behind them."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

from pages.sanitize import visible

Found = Mapping[str, Any]
Find = Mapping[str, str | Sequence[str]]
_TREND = '<svg class="ss-trend" viewBox="0 0 100 24" aria-hidden="true"'


def duration(seconds: float | None) -> str:
    """`–`, `15 ms`, `2.4 s`, `1.5 min`, `25 min`, `2.0 h`."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    if minutes < 60:
        return f"{minutes:.1f} min" if minutes < 10 else f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h"


def milliseconds(number: float | None) -> str:
    """As `duration`, of milliseconds."""
    return duration(None if number is None else number / 1000)


def counted(number: int, thing: str) -> str:
    """`1 turn`, `2,535 turns`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def short(number: int) -> str:
    """`950`, `12.3 k`, `4.1 M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def percent(rate: float | None) -> str:
    """`–`, `86%`."""
    return "–" if rate is None else f"{rate:.0%}"


def dollars(cost: float | None) -> str:
    """`–`, `$0.0148`, `$30.42`."""
    return "–" if cost is None else f"${cost:,.4f}" if cost < 0.1 else f"${cost:,.2f}"


def text(value: str) -> str:
    """Words from outside as HTML that shows them and does nothing."""
    return escape(visible(value))


def change(now: float | None, before: float | None, *, good: int = 0) -> str:
    """Against the time before, in percent. `good`: which direction is welcome; 0 where none is."""
    if now is None or not before:
        return ""
    by = (now - before) / before
    return _arrow(by, f"{abs(by):.0%}" if by < 9.995 else f"×{now / before:,.0f}", good)


def points(now: float | None, before: float | None, *, good: int) -> str:
    """As `change`, of a rate: in percentage points."""
    if now is None or before is None:
        return ""
    words = f"{abs(now - before) * 100:.0f} pts"
    return _arrow(now - before, "1 pt" if words == "1 pts" else words, good)


def _arrow(by: float, words: str, good: int) -> str:
    if words in ("0%", "0 pts"):
        return '<em title="As in the time before">=</em>'
    welcome = "" if not good else " ss-good" if by * good > 0 else " ss-bad"
    arrow = "▲" if by > 0 else "▼"
    what = "Against the time before, as long"
    return f'<em class="ss-change{welcome}" title="{what}">{arrow} {escape(words)}</em>'


def trend(values: Sequence[float | None]) -> str:
    """A small line without axes: where it goes, not how high it is. Where a value is missing it has a gap."""
    known = [value for value in values if value is not None]
    if len(values) < 2 or not any(known):
        return f"{_TREND}></svg>"
    top, width = max(known), 100 / (len(values) - 1)
    lines: list[list[str]] = [[]]
    for at, value in enumerate(values):
        if value is None:
            lines.append([])
        else:
            lines[-1].append(f"{at * width:.1f},{22 - 20 * value / top:.1f}")
    # A point alone is a line to itself: its round ends show it.
    drawn = "".join(
        f'<polyline points="{" ".join(line if len(line) > 1 else line * 2)}" />' for line in lines if line
    )
    return f'{_TREND} preserveAspectRatio="none">{drawn}</svg>'


def explained(meaning: str) -> str:
    """A `?` that says what a figure counts: pointed at, focused or tapped. It spans what it stands in."""
    said = escape(meaning)
    return (
        f'<button type="button" class="ss-help" aria-label="What this counts" '
        f'aria-description="{said}">?</button>'
        f'<span class="ss-meaning" aria-hidden="true">{said}</span>'
    )


def behind(words: str, found: Found, find: Find) -> str:
    """A figure or its name as the way to the conversations behind it. `words` is HTML.

    Args:
        find: filters of conversations that began in the range; or a `figure`, and a `line` of it, that counts
            what happened in the range, whenever the conversation began.
    """
    filters = {name: value for name, value in found["filters"].items() if value}
    names = ("counted_since", "counted_until") if "figure" in find else ("since", "until")
    moments = dict(zip(names, (found["since"], found["until"]), strict=True))
    query = urlencode({**filters, **find, **moments}, doseq=True)
    return (
        f'<button type="button" class="ss-behind" data-find="{escape(query)}" '
        f'title="The conversations behind it">{words}</button>'
    )
