"""The words of an operation reach the model, within a budget."""

from smart_support.connectors.openapi.document.operation import Body, Operation
from smart_support.connectors.review.reviewed_operation import MAX_DESCRIPTION, propose
from smart_support.connectors.review.tool_description import tool_description


def _operation(summary: str = "", description: str = "", body: Body | None = None) -> Operation:
    return Operation(
        key="POST /transfers", method="POST", path="/transfers", tool_name="transfer", summary=summary,
        description=description, body=body,
    )  # fmt: skip


def test_a_summary_does_not_replace_the_condition_in_the_description() -> None:
    operation = _operation("Transfer money.", "Only transfer if\nthe customer <b>agreed</b>.\n\nMore.")
    assert tool_description(operation, 1000)[0] == (
        "Transfer money. Only transfer if the customer agreed . More."
    )


def test_a_summary_that_the_description_repeats_is_left_out() -> None:
    assert tool_description(_operation("Transfer", "Transfer money."), 1000)[0] == "Transfer money."


def test_what_is_said_of_the_body_is_kept() -> None:
    body = Body(media_type="application/json", schema={"description": "In cents."}, properties={"a": "a"})
    assert tool_description(_operation("Transfer", "", body), 1000)[0] == "Transfer. Body: In cents."


def test_the_first_paragraph_is_kept_whole_and_a_cut_is_a_reason() -> None:
    operation = _operation("Transfer", "x" * 900 + "\n\n" + "y" * 900)
    reviewed = propose(operation, None)
    assert reviewed.description == f"Transfer. {'x' * 900}"
    assert "cut to 910 of 1811 characters" in reviewed.proposal["reasons"][-1]
    assert len(propose(_operation("", "z " * 2000), None).description) == MAX_DESCRIPTION


def test_without_words_the_key_stands_in() -> None:
    assert tool_description(_operation(), 1000)[0] == "POST /transfers"
