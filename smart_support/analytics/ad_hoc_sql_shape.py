"""Removes all values from a SQL query, for the audit trail."""

import re

import duckdb

MAX_CHARS = 500
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def sql_shape(sql: str) -> str:
    """The query with `?` for each value, quoted name and comment; at most 500 characters.

    All of those can contain personal data of customers, which must not be in the audit trail.
    """
    raw = sql.encode(errors="replace")
    tokens = duckdb.tokenize(raw.decode())
    starts = [*(offset for offset, _ in tokens), len(raw)]  # byte offsets
    words = []
    for place, (start, kind) in enumerate(tokens):
        text = raw[start : starts[place + 1]].decode(errors="replace").strip()
        is_word = kind in (duckdb.token_type.keyword, duckdb.token_type.identifier) and _NAME.fullmatch(text)
        is_symbol = kind == duckdb.token_type.operator and not any(map(str.isalnum, text))
        words.append(text if is_word or is_symbol else "?")
    return " ".join(words)[:MAX_CHARS]
