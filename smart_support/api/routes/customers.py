"""`/customers`: taking a customer's conversations off the record."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from smart_support.api.dependencies import admin, services
from smart_support.api.envelope import answer
from smart_support.auth import User

router = APIRouter(tags=["customers"])


@router.delete("/customers/{customer_id}")
async def erase(customer_id: str, user: User = Depends(admin), services: Any = Depends(services)) -> Response:
    """Erase every conversation of a customer. Their bytes leave the files soon after; see `GET /erasure`."""
    return answer(asdict(await services.erasure.customer(customer_id, by=user.name, via="rest")))


@router.get("/erasure", dependencies=[Depends(admin)])
async def erasure(services: Any = Depends(services)) -> Response:
    """Whether what was erased has left the files, too: `none`, `running`, `done` or `failed`."""
    return answer({"compaction": services.erasure.compaction})
