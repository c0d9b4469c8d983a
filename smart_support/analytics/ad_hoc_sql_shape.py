"""What a question in SQL asks for, without the values in it: for the audit record."""

import re

import duckdb

MOST_CHARS = 500
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def sql_shape(sql: str) -> str:
    """The question with `?` for each value, quoted name and comment; at most 500 characters.

    What customers wrote or are called can stand in all of those, and must not get into the record.
    """
    raw = sql.encode(errors="replace")
    tokens = duckdb.tokenize(raw.decode())
    starts = [*(offset for offset, _ in tokens), len(raw)]  # of bytes
    words = []
    for place, (start, kind) in enumerate(tokens):
        text = raw[start : starts[place + 1]].decode(errors="replace").strip()
        is_word = kind in (duckdb.token_type.keyword, duckdb.token_type.identifier) and _NAME.fullmatch(text)
        is_sign = kind == duckdb.token_type.operator and not any(map(str.isalnum, text))
        words.append(text if is_word or is_sign else "?")
    return " ".join(words)[:MOST_CHARS]
