"""What a reviewer should know about a description: errors, changes and guesses."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Findings", "Severity"]

Severity = Literal["note", "warning", "error"]
_MAX_FINDINGS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding.

    Attributes:
        severity: `error` if an operation can't be used, `warning` if something was changed or guessed, else
            `note`.
        place: where in the document, as a JSON Pointer (RFC 6901).
        message: one line: the problem, and what was done about it.
    """

    severity: Severity
    place: str
    message: str


class Findings:
    """Collects findings without duplicates, in order."""

    def __init__(self) -> None:
        self._findings: dict[Finding, None] = {}

    def report(self, severity: Severity, place: str, message: str) -> None:
        """Add a `Finding`. Line breaks in the message, which may quote names, become spaces."""
        self.add([Finding(severity=severity, place=place, message=" ".join(message.split()))])

    def add(self, findings: Iterable[Finding]) -> None:
        """Add several findings."""
        self._findings |= dict.fromkeys(findings)

    def all(self) -> tuple[Finding, ...]:
        """All findings; if there are more than 50, the 50 most severe and a note about the rest."""
        if len(self._findings) <= _MAX_FINDINGS:
            return tuple(self._findings)
        order = ("error", "warning", "note")
        worst = sorted(self._findings, key=lambda finding: order.index(finding.severity))
        message = f"{len(worst) - _MAX_FINDINGS} more findings are not shown"
        return (*worst[:_MAX_FINDINGS], Finding(severity="note", place="", message=message))
