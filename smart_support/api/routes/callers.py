"""`/callers`: the API clients that request tool calls themselves, and switching one off."""

from typing import Annotated, Any

from fastapi import Depends, Path
from fastapi.responses import Response
from pydantic import BaseModel, Field

from smart_support.actions.overview import CallerStatus
from smart_support.api import schemas
from smart_support.api.dependencies import channel, lead, services
from smart_support.api.envelope import answer
from smart_support.api.rest_router import rest_router
from smart_support.approvals.disabled_callers import MAX_REASON_CHARS
from smart_support.identity.users import User
from smart_support.services import Services

router = rest_router("/callers", tags=["callers"])
_NAME: Any = {"minLength": 1, "maxLength": 100}


class DisableCaller(BaseModel):
    """Why a caller is disabled."""

    reason: str = Field(description="shown to colleagues", json_schema_extra=schemas.text(MAX_REASON_CHARS))


@router.get("", response_model=schemas.Page[CallerStatus], dependencies=[Depends(lead)])
async def list_callers(services: Services = Depends(services)) -> Response:
    """All callers with what each may do, what is pending, and what it did in the last 30 days."""
    return answer([one.wire() for one in await services.caller_overview.all()], meta={"next_cursor": None})


@router.post("/{name}/disable", response_model=schemas.Answer[CallerStatus])
async def disable_caller(
    name: Annotated[str, Path(json_schema_extra=_NAME)],
    body: DisableCaller,
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Disable a caller's key. Once this is answered, no call of it is taken, and no write of it begins.

    Its pending approvals stay: they can be rejected, and can't be approved until it is enabled again.
    """
    disabled = await services.caller_overview.disable(name, body.reason, by=user.name, via=via)
    return answer(disabled.wire())


@router.post("/{name}/enable", response_model=schemas.Answer[CallerStatus])
async def enable_caller(
    name: Annotated[str, Path(json_schema_extra=_NAME)],
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Enable a caller's key again. A caller that is enabled stays as it is."""
    return answer((await services.caller_overview.enable(name, by=user.name, via=via)).wire())
