"""Questions that are after something else than events: a file, a setting, the catalog, the machine.

Each is refused, or answered with nothing of it: a canary's content comes out neither in rows nor in errors.
The walls are tried one by one as well, because each has to hold where another does not.
"""

import contextlib
import os
import string
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smart_support import clock
from smart_support.analytics import ad_hoc_sql, ad_hoc_sql_process
from smart_support.analytics.ad_hoc_sql import AdHocSql
from smart_support.errors import InvalidRequest
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.duckdb_file import connect
from tests.analytics.conftest import OpenBox
from tests.support.examples import examples
from tests.support.story import record, resolved

CANARY = "kanarienvogel"
BRACKETS = "secret.ke[y.csv?]"
FILES = (BRACKETS, "secret.key", "canary.csv", "canary.json", "canary.ndjson", "canary.txt", "canary")

# `D` stands for the data folder.
ATTACKS = [
    # Names of common table expressions where they are not in scope: DuckDB then looks for a file.
    f'WITH "D/{BRACKETS}" AS (SELECT * FROM "D/{BRACKETS}") SELECT * FROM "D/{BRACKETS}"',
    'WITH "D/canary.csv" AS (SELECT 1) SELECT * FROM (WITH "D/canary.csv" AS (SELECT * FROM "D/canary.csv") '
    'SELECT * FROM "D/canary.csv")',
    'SELECT (WITH "D/canary.csv" AS (SELECT 1) SELECT 1), * FROM "D/canary.csv"',
    'WITH a AS (WITH "D/canary.csv" AS (SELECT 1) SELECT 1) SELECT * FROM "D/canary.csv"',
    'WITH a AS (SELECT * FROM "D/canary.csv"), "D/canary.csv" AS (SELECT 1) SELECT * FROM a',
    'WITH RECURSIVE "D/canary.csv" AS (SELECT * FROM "D/canary.csv") SELECT * FROM "D/canary.csv"',
    'WITH RECURSIVE "D/canary.csv"(x) AS (SELECT * FROM "D/canary.csv" UNION ALL SELECT 1) '
    'SELECT * FROM "D/canary.csv"',
    'SELECT * FROM events UNION ALL (WITH "D/canary.csv" AS (SELECT 1) SELECT 1) UNION ALL SELECT * FROM '
    '"D/canary.csv"',
    "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a",
    "WITH applied_migrations AS (SELECT * FROM applied_migrations) SELECT * FROM applied_migrations",
    "WITH t AS (SELECT 1) SELECT * FROM applied_migrations WHERE EXISTS (SELECT * FROM t)",
    # Files as tables and table functions, in each place where one can stand.
    "SELECT * FROM 'D/canary.csv'",
    "SELECT * FROM 'D/canary.json'",
    'FROM "D/canary.ndjson"',
    'TABLE "D/canary.csv"',
    "SELECT * FROM 'file://D/canary.csv'",
    "SELECT * FROM '/proc/self/environ'",
    "SELECT * FROM 'D/../../../../../../etc/passwd.csv'",
    "SELECT * FROM 'D/*.csv'",
    "SELECT * FROM 'events.duckdb'",
    "SELECT * FROM 'http://127.0.0.1:7860/api/v1/health.csv'",
    "SELECT * FROM 's3://bucket/canary.parquet'",
    "SELECT * FROM read_text('D/secret.key')",
    "SELECT * FROM read_text(['D/secret.key', 'D/canary'])",
    "SELECT * FROM read_blob('D/canary')",
    "SELECT * FROM read_csv('D/canary.csv', header = false)",
    "SELECT * FROM read_csv_auto('D/canary.csv')",
    "SELECT * FROM read_json('D/canary.json')",
    "SELECT * FROM read_ndjson_objects('D/canary.ndjson')",
    "SELECT * FROM read_parquet('D/canary')",
    "SELECT * FROM parquet_metadata('D/canary')",
    "SELECT * FROM read_duckdb('D/events.duckdb')",
    "SELECT * FROM sniff_csv('D/canary.csv')",
    "SELECT * FROM glob('D/*')",
    "SELECT * FROM main.read_text('D/canary')",
    "SELECT * FROM system.main.read_text('D/canary')",
    "SELECT * FROM \"READ_TEXT\"('D/canary')",
    "SELECT (SELECT content FROM read_text('D/canary'))",
    "SELECT * FROM events WHERE tool IN (SELECT content FROM read_text('D/canary'))",
    "SELECT * FROM events ORDER BY (SELECT content FROM read_text('D/canary'))",
    "SELECT * FROM events LIMIT (SELECT len(content) FROM read_text('D/canary'))",
    "SELECT lag(seq, (SELECT len(content) FROM read_text('D/canary'))) OVER () FROM events",
    "SELECT sum(seq) FILTER (WHERE EXISTS (FROM read_text('D/canary'))) FROM events",
    "SELECT * FROM events, LATERAL (SELECT * FROM read_text('D/canary' || events.tool))",
    "SELECT * FROM events POSITIONAL JOIN 'D/canary.csv'",
    "SELECT * FROM events ANTI JOIN 'D/canary.csv' ON true",
    "SELECT list_transform(['D/canary'], lambda f: (SELECT content FROM read_text(f)))",
    "FROM (PIVOT 'D/canary.csv' ON kanarienvogel USING count(*))",
    "FROM (UNPIVOT 'D/canary.csv' ON COLUMNS(*))",
    "SELECT * FROM (VALUES ((SELECT content FROM read_text('D/canary')))) t",
    "SELECT 1 UNION SELECT content FROM read_text('D/canary')",
    "SELECT array(SELECT content FROM read_text('D/canary'))",
    "SELECT CASE WHEN (SELECT content FROM read_text('D/canary')) LIKE 'k%' THEN 1 / 0 END",
    "SELECT CAST((SELECT content FROM read_text('D/canary')) AS INTEGER)",
    "SELECT error((SELECT content FROM read_text('D/canary')))",
    # Statements made of text, and plans, whose errors tell a file's first line.
    "SELECT json_serialize_plan('SELECT * FROM ''D/canary.csv''')",
    "SELECT json_serialize_plan('SELECT x FROM read_csv(''D/secret.key'', columns = {y: ''INT''})')",
    "SELECT json_serialize_sql('SELECT 1')",
    "SELECT json_deserialize_sql('{}')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_text(''D/canary'')'))",
    "SELECT * FROM query('SELECT * FROM read_text(''D/canary'')')",
    "SELECT * FROM query_table(['D/canary.csv'])",
    "SELECT system.main.json_serialize_plan('FROM ''D/canary.csv''')",
    # The catalog, settings, secrets, other connections.
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets(redact = false)",
    "SELECT * FROM duckdb_databases()",
    "SELECT * FROM duckdb_functions()",
    "SELECT * FROM duckdb_temporary_files()",
    "SELECT * FROM duckdb_logs",
    "SELECT * FROM pragma_table_info('events')",
    "SELECT * FROM pragma_storage_info('events')",
    "SELECT * FROM pragma_user_agent()",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.schemata",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM pg_class",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM duckdb_tables",
    "SELECT * FROM main.events",
    'SELECT * FROM "events.main".events',
    "SELECT current_setting('temp_directory')",
    "SELECT getenv('OPENAI_API_KEY')",
    "SELECT getvariable('x')",
    "SELECT current_query()",
    "SELECT current_database()",
    "SELECT pg_get_viewdef(1)",
    "SELECT has_table_privilege('events', 'SELECT')",
    "SELECT has_database_privilege('D', 'x')",
    "SELECT * FROM which_secret('s3://x', 's3')",
    "SELECT * FROM test_all_types()",
    "SELECT * FROM seq_scan()",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM pandas_scan(94000000000000)",
    "SELECT * FROM python_map_function()",
    "SELECT nextval('x')",
    "SELECT setseed(0.1)",
    "SELECT sleep_ms(10000)",
    "SELECT __internal_decompress_string(1::UBIGINT)",
    # Variables of the process that DuckDB's Python would take for tables.
    "SELECT * FROM database",
    "SELECT * FROM question",
    "SELECT * FROM sql",
    # What is no question, alone or beside one.
    "DESCRIBE 'D/canary.csv'",
    "SUMMARIZE 'D/canary.csv'",
    "FROM (DESCRIBE 'D/canary.csv')",
    "FROM (SUMMARIZE 'D/canary.csv')",
    "FROM (SHOW ALL TABLES)",
    "EXPLAIN SELECT * FROM 'D/canary.csv'",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "PRAGMA enable_profiling",
    "COPY (SELECT 1) TO 'D/out.csv'",
    "COPY events FROM 'D/canary.csv'",
    "EXPORT DATABASE 'D/out'",
    "IMPORT DATABASE 'D'",
    "ATTACH 'D/state.sqlite' AS s (TYPE sqlite)",
    "ATTACH 'D/canary' AS s",
    "LOAD 'D/canary'",
    "INSTALL httpfs; LOAD httpfs",
    "CREATE SECRET (TYPE s3)",
    "CREATE MACRO f() AS TABLE SELECT * FROM read_text('D/canary')",
    "PREPARE p AS SELECT * FROM read_text('D/canary')",
    "SELECT 1; SELECT * FROM read_text('D/canary')",
    "SELECT 1) ; COPY (SELECT 1) TO 'D/out.csv'; SELECT * FROM (SELECT 1",
    "SELECT 1) t, read_text('D/canary') u --",
    "SELECT 1 /* */) t JOIN (SELECT * FROM read_text('D/canary')",
    "WITH a AS (INSERT INTO events SELECT * FROM events RETURNING *) SELECT * FROM a",
    "WITH a AS (DELETE FROM events RETURNING *) SELECT * FROM a",
    "MERGE INTO events USING events AS e ON true WHEN MATCHED THEN DELETE",
    "SELECT \ud800",
    "SELECT '\x00', * FROM 'D/canary.csv'",
]


@pytest.fixture
def folder(tmp_path: Path, event_log: EventStore) -> Path:
    """The folder of the event log, with files that nobody may read."""
    for name in FILES:
        (tmp_path / name).write_text(f'{CANARY}\n{{"{CANARY}": "{CANARY}"}}\n')
    return tmp_path


def _content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def _tells(told: object) -> bool:
    return CANARY in str(told).lower()


async def test_no_question_reads_or_writes_a_file_or_tells_of_the_machine(
    folder: Path, event_log: EventStore, open_box: OpenBox
) -> None:
    assert len(ATTACKS) == len({*ATTACKS}) > 60
    await record(event_log, resolved("t", clock.now() - timedelta(hours=1)))
    before, names = _content(folder), {*os.listdir(folder)}
    counted = await event_log.query("SELECT count(*) AS n FROM events")
    box = open_box(seconds=2)
    for attack in ATTACKS:
        with pytest.raises(InvalidRequest) as refused:
            await box.run(attack.replace("D/", f"{folder}/"))
        # The question itself may be quoted; nothing else of the file may.
        assert not _tells(refused.value.message.replace(f"ON {CANARY}", "")), attack
        assert "\n" not in refused.value.message
    assert _content(folder) == before
    assert {*os.listdir(folder)} - names <= {"events.duckdb.wal", "journal.sqlite-wal", "journal.sqlite-shm"}
    assert await event_log.query("SELECT count(*) AS n FROM events") == counted


def _statements_of(attack: str) -> bool:
    """Whether it can be tried where nothing checks the names."""
    return not attack.startswith(("SELECT sleep_ms", "LOAD", "SELECT \ud800"))


def test_without_the_check_of_names_the_lock_of_duckdb_holds(tmp_path: Path) -> None:
    """As every DuckDB of the product is opened: the files it must write are all that it reaches."""
    for name in FILES:
        (tmp_path / name).write_text(f'{CANARY}\n{{"{CANARY}": "{CANARY}"}}\n')
    database = connect(tmp_path / "events.duckdb")
    database.execute("CREATE TABLE events AS SELECT 1 AS seq, 'x' AS tool, 'y' AS type")
    before = _content(tmp_path)
    answered = 0
    for attack in filter(_statements_of, ATTACKS):
        sql = attack.replace("D/", f"{tmp_path}/")
        cursor = database.cursor()
        try:
            told = cursor.execute(sql).fetchall()
        except (duckdb.Error, ValueError, TypeError, ModuleNotFoundError) as error:
            assert not _tells(str(error).replace(sql, "").replace(f"ON {CANARY}", "").split("LINE ")[0]), (
                attack
            )
        else:
            answered += 1
            assert not _tells(told), attack
    assert answered > 10  # so that it is the lock that is tried, and not the grammar
    for setting in ("enable_external_access", "autoload_known_extensions", "python_enable_replacements"):
        with pytest.raises(duckdb.Error, match="locked"):
            database.execute(f"SET {setting} = true")
    assert _content(tmp_path) == before
    assert not (tmp_path / "out.csv").exists()


SEALED = """
import socket, sys
sys.path.insert(0, sys.argv[1])
import ad_hoc_sql_process
from pathlib import Path
question = ad_hoc_sql_process.Query("", sys.argv[2], "", 5, 1, 1, 1_000_000_000)
ad_hoc_sql_process._copy_file(question.source, Path("events.duckdb"))
database = ad_hoc_sql_process._open(Path("events.duckdb"), 1_000_000_000)
ad_hoc_sql_process._drop_privileges(question)
told = [database.execute("SELECT count(*) FROM events").fetchall()[0][0]]
for reach in (lambda: open(sys.argv[3]), lambda: open("new", "w"), lambda: socket.socket(),
              lambda: database.execute("SET threads = 4"),
              lambda: database.execute(f"FROM read_text('{sys.argv[3]}')").fetchall()):
    try:
        reach()
        told.append("reached")
    except Exception as error:
        told.append(type(error).__name__)
print(told)
"""


def test_the_process_that_answers_can_open_nothing(tmp_path: Path, event_log: EventStore) -> None:
    """Whatever DuckDB did, the system would not let it."""
    canary, place = tmp_path / "canary.txt", tmp_path / "elsewhere"
    canary.write_text(CANARY)
    place.mkdir()
    database = connect(place / "source.duckdb")
    database.execute("CREATE TABLE events AS SELECT 1")
    database.close()
    program = Path(ad_hoc_sql_process.__file__).parent
    command = [sys.executable, "-c", SEALED, str(program), str(place / "source.duckdb"), str(canary)]
    ended = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60, check=False)
    told = ended.stdout.strip()
    assert told == "[1, 'OSError', 'OSError', 'OSError', 'InvalidInputException', 'PermissionException']", (
        ended
    )


async def test_the_process_that_answers_has_none_of_our_environment(
    event_log: EventStore, open_box: OpenBox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    told = tmp_path / "told"
    program = tmp_path / "program.py"
    program.write_text(
        f"import os, sys\nopen({str(told)!r}, 'w').write(repr((dict(os.environ), sys.flags.isolated)))\n"
    )
    monkeypatch.setattr("smart_support.analytics.ad_hoc_sql.PROGRAM", program)
    with pytest.raises(Exception, match="can't be copied"):
        await open_box().run("SELECT 1")
    assert CANARY not in told.read_text()
    assert told.read_text().endswith("1)")


# Statements made up from the grammar.

NAMES = ("events", "a", "b", "D/canary.csv", f"D/{BRACKETS}", "D/canary.json", "main.events", "pg_class", "t")
_names = st.sampled_from(NAMES).map(lambda name: f'"{name}"')
_calls = st.sampled_from(
    [
        *("read_text('D/canary')", "range(3)", "unnest([1, 2])", "glob('D/*')", "duckdb_settings()"),
        *("query('FROM \"D/canary.csv\"')", "sniff_csv('D/canary.csv')", "generate_series(1, 2)"),
    ]
)
_values = st.sampled_from(
    [
        *("1", "count(*)", "*", "'D/canary.csv'", "getenv('HOME')", "current_setting('home_directory')"),
        *("json_serialize_plan('FROM \"D/canary.csv\"')", "md5('x')", "list_transform([1], lambda x: x + 1)"),
    ]
)


def _select(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    source = st.one_of(
        _names, _calls, inner.map(lambda one: f"({one})"), inner.map(lambda one: f"LATERAL ({one})")
    )
    value = st.one_of(_values, inner.map(lambda one: f"({one})"), inner.map(lambda one: f"EXISTS ({one})"))
    plain = st.builds(lambda what, where: f"SELECT {what} FROM {where}", value, source)
    joined = st.builds(lambda one, other: f"{one} x, {other} y", source, source)
    return st.one_of(
        plain,
        st.builds(lambda what, where: f"SELECT {what} FROM {where}", value, joined),
        st.builds(lambda one, other: f"{one} UNION ALL {other}", plain, inner),
        st.builds(
            lambda name, defined, rest, recursive: f"WITH {recursive} {name} AS ({defined}) {rest}",
            *(_names, inner, inner, st.sampled_from(["", "RECURSIVE"])),
        ),
        st.builds(lambda one, test: f"{one} WHERE {test} IS NOT NULL", plain, value),
    )


statements = st.recursive(st.just('SELECT 1 FROM "events"'), _select, max_leaves=8)


@pytest.fixture(scope="module")
def reachable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A DuckDB without any lock, so that the check of names stands alone, and the folder with canaries."""
    folder = tmp_path_factory.mktemp("canaries")
    for name in FILES:
        (folder / name).write_text(f"{CANARY}\n{CANARY}\n")
    with duckdb.connect(config={"threads": 1}) as database:
        database.execute("CREATE TABLE events (seq BIGINT, tool VARCHAR)")
        yield database, folder


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sql=statements)
@example(sql=f'WITH "D/{BRACKETS}" AS (SELECT * FROM "D/{BRACKETS}") SELECT * FROM "D/{BRACKETS}"')
@example(sql='SELECT (WITH "D/canary.csv" AS (SELECT 1) SELECT 1), * FROM "D/canary.csv"')
@example(sql='WITH RECURSIVE "a" AS (SELECT * FROM "a" UNION ALL SELECT * FROM "a") SELECT * FROM "a"')
def test_what_passes_the_check_of_names_reads_no_file_even_where_nothing_else_keeps_it(
    reachable: tuple[duckdb.DuckDBPyConnection, Path], sql: str
) -> None:
    database, folder = reachable
    sql = sql.replace("D/", f"{folder}/")
    serialized = database.execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchall()[0][0]
    try:
        ad_hoc_sql_process.check(serialized)
    except ad_hoc_sql_process.Refused:
        return
    try:
        told = str(database.execute(f"SELECT * FROM ({sql}) LIMIT 50").fetchall())
    except duckdb.Error as error:
        told = str(error)
    assert not _tells(told)
    assert "canary" not in told.replace("canary.csv'", "")


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM a) SELECT * FROM a, b, events",
        "WITH events AS (SELECT * FROM events) SELECT * FROM events",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM R",
        "SELECT (WITH a AS (SELECT 1) SELECT * FROM a) FROM EVENTS",
        "WITH a AS (SELECT 1 AS x) (SELECT * FROM a UNION SELECT 2) ORDER BY x LIMIT 1",
        "SELECT tool, count(*) FILTER (seq > 1) OVER (PARTITION BY tool ORDER BY seq) FROM events",
        "FROM (PIVOT events ON tool IN ('a', 'b') USING count(*))",
        "SELECT DISTINCT ON (tool) * EXCLUDE (seq) FROM events USING SAMPLE 10%",
        "SELECT COLUMNS('s.*'), CASE WHEN seq IN (1) THEN NOT true END, tool COLLATE nocase FROM events",
        "SELECT tool FROM events GROUP BY ROLLUP (tool) HAVING count(*) > 0 ORDER BY ALL",
        "SELECT e.seq FROM events e ASOF JOIN events f ON e.tool = f.tool AND e.seq >= f.seq",
        "VALUES (1, 'a'), (2, 'b')",
        "SELECT [x * 2 for x in [1, 2] if x > 1], {'a': 1}.a, MAP {'k': 1}['k'], 'abc'[1:2], 'x' LIKE '_'",
        "SELECT INTERVAL 3 DAY, DATE '2026-01-01' + 1, EXTRACT(year FROM DATE '2026-01-01')",
    ],
)
def test_what_asks_for_events_alone_passes(
    reachable: tuple[duckdb.DuckDBPyConnection, Path], sql: str
) -> None:
    database, _ = reachable
    ad_hoc_sql_process.check(
        database.execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchall()[0][0]
    )
    database.execute(f"SELECT * FROM ({sql})").fetchall()


@given(name=st.text(string.printable, max_size=12))
def test_a_name_with_a_path_in_it_is_never_one_of_a_common_table_expression(name: str) -> None:
    part = {"type": "SELECT_NODE", "cte_map": {"map": [{"key": name, "value": {}}]}}
    tree = orjson.dumps({"error": False, "statements": [{"node": part}]}).decode()
    if any(one in name for one in "./\\*?[]:'\"") or not name.strip():
        with pytest.raises(ad_hoc_sql_process.Refused):
            ad_hoc_sql_process.check(tree)


def test_the_list_of_functions_has_none_that_tells_of_the_machine_or_runs_sql() -> None:
    with duckdb.connect() as database:
        rows = database.execute(
            "SELECT function_name, bool_or(has_side_effects), list(DISTINCT function_type) "
            "FROM duckdb_functions() GROUP BY 1"
        ).fetchall()
    kinds = {name: set(types) for name, _, types in rows}
    effects = {name for name, effect, _ in rows if effect}
    assert kinds.keys() >= ad_hoc_sql_process.FUNCTIONS
    assert not effects & ad_hoc_sql_process.FUNCTIONS
    plain = {"scalar", "aggregate", "macro", "window"}
    assert all(kinds[name] & plain for name in ad_hoc_sql_process.FUNCTIONS)
    suspicious = ("current_setting", "getenv", "json_serialize", "json_execute", "pg_", "duckdb_", "pragma")
    assert not [name for name in ad_hoc_sql_process.FUNCTIONS if name.startswith(suspicious)]


# One that is long in its text, one that is long as a list, one told to make much of little.
LONG = (
    "repeat('ab', 200000), repeat('ba', 200000)",
    "range(300000), range(300000)",
    "repeat('ab', 200000), 10000000",
)
SOME = ("levenshtein", "repeat", "list_sort", "regexp_replace", "string_agg", "range")


async def _check_ends_in_time(box: AdHocSql, names: Iterable[str]) -> None:
    for name in names:
        for arguments in LONG:
            sql = f"SELECT len({name}({arguments})::VARCHAR)"
            began = time.monotonic()
            with contextlib.suppress(InvalidRequest):
                await box.run(sql)
            # Its time begins when its process has started and has its copy, each within a limit of its own.
            most = 1 + 2 * ad_hoc_sql.SECONDS_TO_START + ad_hoc_sql.SECONDS_TO_COPY
            assert time.monotonic() - began < most + 1, sql


async def test_a_function_does_not_outlive_its_time_whatever_it_is_given(open_box: OpenBox) -> None:
    await _check_ends_in_time(open_box(seconds=1), SOME)


@pytest.mark.nightly
async def test_no_function_outlives_its_time_whatever_it_is_given(open_box: OpenBox) -> None:
    names = sorted(filter(str.isidentifier, ad_hoc_sql_process.FUNCTIONS))
    await _check_ends_in_time(open_box(seconds=1), names)
