"""A reviewer's changes to an operation: what may be marked read-only, and what must be confirmed."""

import pytest

from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.review.reviewed_operation import ReviewedOperation, apply_changes, propose
from smart_support.errors import InvalidRequest


def _reviewed(method: str, path: str = "/tools/tally") -> tuple[ReviewedOperation, Operation]:
    operation = Operation(
        key=f"{method} {path}", method=method, path=path, tool_name="tally", summary="Tally."
    )
    return propose(operation, None), operation


def test_a_post_that_the_rules_did_not_propose_is_read_only_once_a_reviewer_confirms_it() -> None:
    reviewed, operation = _reviewed("POST")
    assert not reviewed.proposal["read_proposed"]
    with pytest.raises(InvalidRequest, match=r"runs without approval.*confirm: true"):
        apply_changes(reviewed, operation, {"access": "read"})

    changed = apply_changes(reviewed, operation, {"access": "read", "confirm": True})

    assert (changed.access, changed.needs_approval) == ("read", False)
    assert "confirmed that it changes nothing" in changed.proposal["reasons"][-1]


def test_what_the_rules_propose_needs_no_confirmation() -> None:
    reviewed, operation = _reviewed("POST", "/orders/search")
    assert apply_changes(reviewed, operation, {"access": "read"}).access == "read"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_method_that_writes_is_never_read_only(method: str) -> None:
    with pytest.raises(InvalidRequest, match="can't be marked read-only"):
        apply_changes(*_reviewed(method), {"access": "read", "confirm": True})
