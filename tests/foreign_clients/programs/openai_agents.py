"""An agent of the OpenAI Agents SDK and its own time-out of five seconds; the model follows a script."""

import asyncio
import sys

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText


class Script(Model):
    """Makes its calls in order, and repeats one that gave an error until it has another result."""

    def __init__(self, calls):
        self.calls, self.results, self.attempts = list(calls), [], 0

    async def get_response(self, system_instructions, input, *args, **kwargs):
        outputs = [one["output"] for one in input if one.get("type") == "function_call_output"]
        if len(outputs) > self.attempts - 1 and outputs:
            text = str(outputs[-1])
            # What the SDK tells the model of a call that it gave up.
            if "Please try again" in text:
                print("cut off", True, flush=True)
            else:
                self.results.append(text)
        if len(self.results) == len(self.calls):
            text = ResponseOutputText(type="output_text", text="Done.", annotations=[])
            item = ResponseOutputMessage(
                id="m", type="message", role="assistant", status="completed", content=[text]
            )
        else:
            self.attempts += 1
            name, args = self.calls[len(self.results)]
            item = ResponseFunctionToolCall(
                type="function_call", call_id=f"c{self.attempts}", name=name, arguments=args
            )
        return ModelResponse(output=[item], usage=Usage(), response_id=None)

    def stream_response(self, *args, **kwargs):
        raise NotImplementedError


async def main(url: str, approved: str, rejected: str, late: str) -> None:
    set_tracing_disabled(True)
    calls = [("get_order_status", approved), *(("cancel_order", one) for one in (approved, rejected, late))]
    script = Script((name, f'{{"order_id": "{order}"}}') for name, order in calls)
    async with MCPServerStreamableHttp(params={"url": url}) as server:
        print("listed", "cancel_order" in {tool.name for tool in await server.list_tools()})
        agent = Agent(name="Support", instructions="Help.", mcp_servers=[server], model=script)
        await Runner.run(agent, "Cancel the orders.", max_turns=40)
    read, done, refused, joined = script.results
    print("read", "processing" if "processing" in read else read)
    print("approved", "cancelled" if "cancelled" in done else done)
    print("rejected", "error" if "rejected" in refused else refused)
    print("joined", True, "cancelled" if "cancelled" in joined else joined)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
