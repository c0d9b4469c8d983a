"""`/freeze`: people stop writes, and let them go on."""

from typing import Annotated, Any

from fastapi import Depends, Path
from fastapi.responses import Response
from pydantic import BaseModel, Field

from smart_support.api import schemas
from smart_support.api.dependencies import admin, channel, lead, services, user
from smart_support.api.envelope import answer
from smart_support.api.rest_router import rest_router
from smart_support.approvals.freeze_scope import MAX_SCOPE_CHARS
from smart_support.approvals.freezes import MAX_REASON_CHARS, Freeze
from smart_support.identity.users import User
from smart_support.services import Services

router = rest_router("/freeze", tags=["freeze"])

SCOPE_PATTERN = r"^(all|(agent|tool|caller):[^\s\x00-\x1f]([^\x00-\x1f]*[^\s\x00-\x1f])?)$"
_SCOPE: Any = {"pattern": SCOPE_PATTERN, "maxLength": MAX_SCOPE_CHARS}


class FreezeRequest(BaseModel):
    """What to freeze, and why."""

    scope: str = Field(
        description="`all`, `agent:NAME`, `tool:NAME` or `caller:NAME`", json_schema_extra=_SCOPE
    )
    reason: str = Field(description="shown to colleagues", json_schema_extra=schemas.text(MAX_REASON_CHARS))


@router.post("", response_model=schemas.Answer[Freeze])
async def freeze(
    body: FreezeRequest,
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Freeze writes. Once this is answered, no write of the scope begins; one that has begun may end.

    A scope that is frozen already stays as it is.
    """
    return answer((await services.freezes.freeze(body.scope, body.reason, by=user.name, via=via)).wire())


@router.get("", response_model=schemas.Page[Freeze], dependencies=[Depends(user)])
async def list_freezes(services: Services = Depends(services)) -> Response:
    """The freezes in effect, the oldest first."""
    return answer([one.wire() for one in await services.freezes.in_effect()], meta={"next_cursor": None})


@router.delete("/{scope:path}", response_model=schemas.Answer[Freeze])
async def lift(
    scope: Annotated[str, Path(json_schema_extra=_SCOPE)],
    user: User = Depends(admin),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Lift a freeze. Approved calls that no other freeze holds are checked again, and run by themselves."""
    return answer((await services.freezes.lift(scope, by=user.name, via=via)).wire())
