"""Each client lists, reads, writes what is approved and what is rejected, and joins after a time-out."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.harness import ROOT, AppProcess, demo_orders

ENVIRONMENTS = ROOT / ".venv" / "foreign-clients"
PAGE = (ROOT / "docs" / "any-agent.md").read_text(encoding="utf-8")
PROGRAMS = Path(__file__).parent / "programs"
CLIENTS = {
    "mcp-1": "sdk_1.py",
    "mcp-2": "sdk_2.py",
    "fastmcp": "fastmcp_client.py",
    "openai-agents": "openai_agents.py",
}
ORDERS = demo_orders("processing")
pytestmark = pytest.mark.nightly


class Lead(threading.Thread):
    """Rejects the calls of some orders, and approves those of the others; of some only when told."""

    def __init__(self, url: str, rejected: str, late: str) -> None:
        super().__init__(daemon=True)
        self._url, self._rejected, self._late = f"{url}/api/v1", rejected, late
        self.was_cut_off, self.ends = threading.Event(), threading.Event()

    def run(self) -> None:
        """Decide what waits."""
        with httpx.Client(timeout=60) as client:
            while not self.ends.wait(0.1):
                for one in client.get(f"{self._url}/approvals?status=pending").json()["data"]:
                    order = one["args"]["order_id"]
                    if order == self._late and not self.was_cut_off.is_set():
                        continue
                    decision = "reject" if order == self._rejected else "approve"
                    path = f"{self._url}/approvals/{one['approval_id']}/decision"
                    client.post(path, json={"decision": decision})


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with AppProcess(tmp_path_factory.mktemp("foreign") / "var") as running:
        yield running


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_reads_writes_and_joins(app: AppProcess, client: str) -> None:
    python = ENVIRONMENTS / client / "bin" / "python"
    if not python.exists():
        pytest.skip("its environment is not there; make foreign-clients makes it")
    approved, rejected, late = next(ORDERS), next(ORDERS), next(ORDERS)
    lead = Lead(app.url, rejected, late)
    lead.start()
    command = [python, PROGRAMS / CLIENTS[client], f"{app.url}/mcp", approved, rejected, late]
    told = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line.strip())
            if line.startswith("cut off"):
                lead.was_cut_off.set()
    lead.ends.set()
    assert process.returncode == 0
    assert sorted(set(told)) == [
        "approved cancelled",
        "cut off True",
        "joined True cancelled",
        "listed True",
        "read processing",
        "rejected error",
    ]
    done = app.get("/approvals", status="approved", q=late)
    assert [one["execution"] for one in done if one["args"] == {"order_id": late}] == ["done"]


EXAMPLES = {
    "openai-agents": (
        "from openai_agents import Script\n\n"
        "model = Script([('cancel_order', '{{\"order_id\": \"{order}\"}}')])\n"
    ),
    "langgraph": (
        "from langgraph_model import Script\n\n"
        "model = Script(tool='cancel_order', args={{'order_id': '{order}'}})\n"
    ),
}


@pytest.mark.parametrize("client", EXAMPLES)
def test_the_page_s_example(app: AppProcess, tmp_path: Path, client: str) -> None:
    python = ENVIRONMENTS / client / "bin" / "python"
    if not python.exists():
        pytest.skip("its environment is not there; make foreign-clients makes it")
    (example,) = re.findall(rf"^```python-with-{client}\n(.*?)^```", PAGE, re.M | re.S)
    order = next(ORDERS)
    program = tmp_path / "example.py"
    program.write_text(EXAMPLES[client].format(order=order) + example.replace(":7860", f":{app.port}"))
    lead = Lead(app.url, rejected="", late="")
    lead.start()
    environment = os.environ | {"PYTHONPATH": str(PROGRAMS), "OPENAI_AGENTS_DISABLE_TRACING": "1"}
    ran = subprocess.run([python, program], env=environment, capture_output=True, text=True, check=False)
    lead.ends.set()
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.splitlines()[-1]
    assert said == "Done." or f"Order {order} is cancelled" in said
    done = app.get("/approvals", status="approved", q=order)
    assert [one["execution"] for one in done if one["args"] == {"order_id": order}] == ["done"]
