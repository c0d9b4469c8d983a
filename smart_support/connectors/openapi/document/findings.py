"""Where findings are collected while something is read. What one is: operation.py."""

from collections.abc import Iterable

from smart_support.connectors.openapi.document.operation import Finding, Severity

__all__ = ["Findings"]

_MOST = 50


class Findings:
    """Each finding once, in the order they were made, and no more than a reviewer can read."""

    def __init__(self) -> None:
        self._found: dict[Finding, None] = {}

    def tell(self, severity: Severity, place: str, message: str) -> None:
        """Add one; see `Finding`. The message becomes one line, whatever names it quotes."""
        self.add([Finding(severity=severity, place=place, message=" ".join(message.split()))])

    def add(self, findings: Iterable[Finding]) -> None:
        """Add several."""
        self._found |= dict.fromkeys(findings)

    def all(self) -> tuple[Finding, ...]:
        """All of them, or the worst fifty and one that says how many more there were."""
        if len(self._found) <= _MOST:
            return tuple(self._found)
        worst = sorted(self._found, key=lambda finding: ("error", "warning", "note").index(finding.severity))
        rest = Finding(severity="note", place="", message=f"{len(worst) - _MOST} more findings are not shown")
        return (*worst[:_MOST], rest)
