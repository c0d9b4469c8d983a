"""CPU seconds and peak memory of importing a description, compared with only parsing its YAML or JSON.

Imports a generated description with 1,500 operations (`--operations N`), and the files in folders:
`openapi_import.py FOLDER ...`. Each measurement runs in a separate process, for its peak memory. At the end
the app imports a description with 6,000 operations, as JSON and as YAML, and the longest times for a response
of `/health` meanwhile are printed. It is in wall-clock time: run it on a machine that does nothing else.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import orjson
import ryaml

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.figures import record  # noqa: E402
from benchmarks.stalls import HealthProbe, running  # noqa: E402

OPERATIONS = 1_500
STALL_OPERATIONS = 6_000
ROUNDS = 3


def main(operations: int, rounds: int, folders: list[str], stall_operations: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        generated = Path(folder) / "generated.yaml"
        generated.write_text(ryaml.dumps(description(operations)))
        heads = f"{'file':44} {'kB':>6} {'ops':>6} {'load s':>7} {'import s':>8} {'ratio':>6} {'MB':>5}"
        print(f"{heads}  over loading")
        show(generated, rounds)
        for given in folders:
            for path in sorted(Path(given).iterdir()):
                if path.suffix in (".json", ".yaml", ".yml"):
                    show(path, rounds)
    print("Longest time for /health during an import:")
    show_stalls(stall_operations)


def show_stalls(operations: int) -> None:
    """Print the longest response times of `/health` while the app imports a large description."""
    whole = description(operations)
    texts = {"json": orjson.dumps(whole), "yaml": ryaml.dumps(whole).encode()}
    limit = str(max(map(len, texts.values())) + 1)
    with tempfile.TemporaryDirectory() as folder, running(folder, MAX_SPEC_BYTES=limit) as address:
        for kind, raw in texts.items():
            imported, opened = _stalls(address, raw)
            record(f"longest wait of /health, {kind}", imported * 1000, "ms", 100)
            print(
                f"{operations:,} operations as {kind}: {imported * 1000:.0f} ms while it is imported, "
                f"{opened * 1000:.0f} ms when its review is opened"
            )


def _stalls(address: str, raw: bytes) -> tuple[float, float]:
    url = f"http://{address}/api/v1/openapi"
    with httpx.Client(timeout=120) as client:
        headers = {"Content-Type": "text/plain"}
        job = client.post(f"{url}/import", content=raw, headers=headers).json()["data"]
        importing = HealthProbe(address)
        importing.start()
        while _status(client.get(f"{url}/jobs"), job["job_id"]) == "loading":
            time.sleep(0.1)
        imported, opening = importing.stop(), HealthProbe(address)
        opening.start()
        # As the API tab opens a review.
        for path in ("", "/operations"):
            client.get(f"{url}/jobs/{job['job_id']}{path}").raise_for_status()
        return imported, opening.stop()


def _status(jobs: httpx.Response, job_id: str) -> str:
    return next(str(job["status"]) for job in jobs.json()["data"] if job["job_id"] == job_id)


def show(path: Path, rounds: int) -> None:
    """Print one line of the table."""
    loads, imports = ([measure_in_process(what, path) for _ in range(rounds)] for what in ("load", "import"))
    load, whole = min(one["seconds"] for one in loads), min(one["seconds"] for one in imports)
    bare, peak = (min(one["peak_mb"] for one in several) for several in (loads, imports))
    ratio = f"{whole / load:6.2f}"
    if path.name.startswith("generated"):
        record("import", whole, "s")
        record("import", whole / load, "ratio")
        record("import, memory", peak - bare, "MB")
    print(
        f"{path.name[-44:]:44} {path.stat().st_size // 1000:6} {imports[0]['operations']:6} {load:7.3f} "
        f"{whole:8.3f} {ratio} {peak:5.0f}  {peak - bare:+.0f} MB"
    )


def measure_in_process(what: str, path: Path) -> dict[str, Any]:
    """Run one measurement in a new process."""
    command = [sys.executable, "-m", "benchmarks.openapi_import", "--measure", what, str(path)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(what: str, path: Path) -> dict[str, Any]:
    """Seconds and peak megabytes of this process, and the number of operations."""
    from smart_support.connectors.openapi.document.parse import parse
    from smart_support.connectors.openapi.document.reader import load
    from smart_support.connectors.review.reviewed_operation import propose
    from smart_support.garbage_collection import without_garbage_collection

    raw, operations = path.read_bytes(), 0
    started = _cpu_seconds()
    if what == "load":
        orjson.loads(raw) if path.suffix == ".json" else ryaml.loads(raw.decode())
    else:
        # As the app does it for a large description.
        with without_garbage_collection():
            document = parse(load(raw, max_bytes=len(raw)))
            operations = len([propose(one, None) for one in document.operations])
    seconds = _cpu_seconds() - started
    # Includes the process that reads YAML: CPU times add up, and the larger peak counts.
    peaks = [
        resource.getrusage(target).ru_maxrss for target in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return {"seconds": seconds, "peak_mb": max(peaks) / 1024, "operations": operations}


def _cpu_seconds() -> float:
    """The CPU time of this process and its children, which run in sequence."""
    # os.times() counts in hundredths: a small description would take no time at all.
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def description(operations: int) -> dict[str, Any]:
    """A description with the proportions of real ones: about 4 kB of text per operation, mostly responses.

    Of 25,484 real operations the median tool schema has 382 bytes and the 99th percentile 17 kB.
    """
    kinds = operations // 3
    schemas = {f"Thing{number}": _schema(number) for number in range(kinds)}
    paths: dict[str, Any] = {}
    for number in range(kinds):
        name = f"thing{number}"
        body = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/Thing{number}"}}}}
        common = {"tags": [f"group{number % 40}"], "description": _words(40), "responses": _answers(body)}
        given = {"name": f"{name}_id", "in": "path", "required": True, "schema": {"type": "string"}}
        paths[f"/v1/{name}/{{{name}_id}}"] = {
            "parameters": [given],
            "get": {"operationId": f"get_{name}", "parameters": [_query(n) for n in range(4)], **common},
            "put": {"operationId": f"put_{name}", "requestBody": body, **common},
            "post": {"operationId": f"act_on_{name}", "requestBody": body, **common},
        }
    return {
        "openapi": "3.0.3",
        "info": {"title": "Generated", "version": "1"},
        "servers": [{"url": "https://api.example.com"}],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _schema(number: int) -> dict[str, Any]:
    """Every tenth schema is deep: it refers to two others, which refer to more."""
    properties: dict[str, Any] = {
        f"field{n}": {"type": "string", "description": _words(4), "example": "abc"} for n in range(4)
    }
    properties["count"] = {"type": "integer", "minimum": 0}
    if number % 10 == 0:
        others = [{"$ref": f"#/components/schemas/Thing{max(number - step, 0)}"} for step in (10, 20)]
        properties |= {"more": {"type": "array", "items": others[0]}, "parent": others[1]}
    return {"type": "object", "properties": properties, "required": ["field0"]}


def _query(number: int) -> dict[str, Any]:
    schema = {"type": "string", "enum": ["one", "two", "three"]} if number == 0 else {"type": "string"}
    return {"name": f"filter{number}", "in": "query", "description": _words(8), "schema": schema}


def _answers(body: dict[str, Any]) -> dict[str, Any]:
    example = {f"field{n}": _words(6) for n in range(8)}
    whole = {"application/json": {**body["content"]["application/json"], "example": example}}
    wrong = {"application/json": {"example": {"code": "wrong", "message": _words(12)}}}
    failed = {code: {"description": _words(10), "content": wrong} for code in ("400", "401", "404", "429")}
    return {"200": {"description": _words(6), "content": whole}, **failed}


def _words(count: int) -> str:
    return " ".join(["described", "carefully", "here", "for", "readers"][n % 5] for n in range(count))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", metavar="FOLDER")
    parser.add_argument("--operations", type=int, default=OPERATIONS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--stall-operations", type=int, default=STALL_OPERATIONS)
    parser.add_argument(
        "--measure", nargs=2, metavar=("WHAT", "FILE"), help="internal: load or import a file"
    )
    given = parser.parse_args()
    if given.measure:
        print(orjson.dumps(measure(given.measure[0], Path(given.measure[1]))).decode())
    else:
        main(given.operations, given.rounds, given.folders, given.stall_operations)
