"""`/agents`, `/tools` and `/me`: the configuration and the current user."""

from typing import Any

from fastapi import Depends
from fastapi.responses import Response

from smart_support.api import schemas
from smart_support.api.dependencies import services, user
from smart_support.api.envelope import answer
from smart_support.api.rest_router import rest_router
from smart_support.identity.users import ANYONE, User
from smart_support.services import Services
from smart_support.tools.registry import Access

router = rest_router(tags=["agents"])
# What the gate does with a call without a policy rule.
POLICY = {Access.READ: "run", Access.WRITE: "ask"}


@router.get("/me", response_model=schemas.Answer[schemas.Me])
async def me(user: User = Depends(user)) -> Response:
    """The current user and their role; `login` says whether they can log out."""
    shown = {"name": user.name, "role": user.role.name.lower(), "login": user is not ANYONE}
    return answer(shown | ({"display_name": user.display_name} if user.display_name else {}))


@router.get("/agents", response_model=schemas.Configured[schemas.Agent])
async def list_agents(services: Services = Depends(services)) -> Response:
    """The configured agents; `fallback` is the one for requests that fit no other."""
    team = services.team
    return answer(
        [
            {
                "name": agent.name,
                "title": agent.title,
                "description": agent.description,
                "tools": list(agent.tools),
                "examples": list(agent.examples),
                "fallback": agent.name == team.fallback,
                "writes_per_hour": agent.writes_per_hour,
            }
            for agent in team.agents
        ],
        meta=_meta(services),
    )


@router.get("/tools", response_model=schemas.Configured[schemas.Tool])
async def list_tools(services: Services = Depends(services)) -> Response:
    """All tools with their access, what the gate does with a call, and the agents that may call them."""
    agents = services.team.agents
    return answer(
        [
            {
                "name": tool.name,
                "description": tool.description,
                "access": str(tool.access),
                "policy": POLICY[tool.access],
                "rules": services.team.policy.of_tool(tool.name) if tool.access is Access.WRITE else [],
                "risk": tool.risk,
                "idempotent": tool.idempotent,
                "version": tool.version,
                "schema": tool.schema,
                "agents": [agent.name for agent in agents if tool.name in agent.tools],
            }
            for tool in sorted(services.registry, key=lambda tool: tool.name)
        ],
        meta=_meta(services),
    )


def _meta(services: Services) -> dict[str, Any]:
    """The lists have one page; the warnings name missing and disabled tools."""
    return {"next_cursor": None, "warnings": services.warnings()}
