"""The tool of an operation: its arguments are checked before a card is shown, and its files are kept."""

from pathlib import Path
from typing import Any

import pytest

from smart_support.connectors.openapi.document.parse import parse
from smart_support.connectors.operation_tool import operation_tool
from smart_support.connectors.response_decoding import BinaryAnswer
from smart_support.connectors.review.reviewed_operation import propose
from smart_support.errors import InvalidArguments
from smart_support.storage.answer_files import AnswerFiles
from smart_support.tools.registry import Call, Tool


def _tool(folder: Path, content: dict[str, Any], result: Any = None) -> Tool:
    paths = {"/a": {"post": {"summary": "Create", "requestBody": {"content": content}}}}
    (operation,) = parse({"openapi": "3.1.0", "info": {}, "paths": paths}).operations

    async def invoke(*_: Any) -> Any:
        return result

    reviewed = propose(operation, None)
    files = AnswerFiles(folder)
    return operation_tool(operation, reviewed, "Desk", invoke, target="", timeout_seconds=5, files=files)


def test_what_can_not_be_sent_is_refused_by_the_check_of_arguments(tmp_path: Path) -> None:
    file = {"type": "string", "format": "binary"}
    form = {"type": "object", "properties": {"file": file, "name": {"type": "string"}}, "required": ["file"]}
    tool = _tool(tmp_path, {"multipart/form-data": {"schema": form}})
    tool.check({"file": "QUJD", "name": "x"})
    tool.check({})
    with pytest.raises(InvalidArguments, match="file: it is not base64"):
        tool.check({"file": "no base64!"})
    with pytest.raises(InvalidArguments, match="missing required arguments: file"):
        tool.check({"name": "x"})


async def test_a_binary_result_is_a_file_of_its_conversation(tmp_path: Path) -> None:
    tool = _tool(tmp_path, {}, BinaryAnswer(b"%PDF-1", "application/pdf"))
    result = await tool.run({}, Call("thread", "call"))
    assert (tmp_path / result["file"]).read_bytes() == b"%PDF-1"
    assert (result["media_type"], result["bytes"]) == ("application/pdf", 6)
