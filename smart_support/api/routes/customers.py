"""`/customers` and `/demo-history`: taking conversations off the record."""

from dataclasses import asdict

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from smart_support.api import schemas
from smart_support.api.dependencies import admin, lead, services
from smart_support.api.envelope import answer
from smart_support.identity.users import User
from smart_support.services import Services

router = APIRouter(tags=["customers"])


@router.delete("/customers/{customer_id}", response_model=schemas.Answer[schemas.Erased])
async def erase(
    customer_id: str, user: User = Depends(admin), services: Services = Depends(services)
) -> Response:
    """Erase every conversation of a customer. Their bytes leave the files soon after; see `GET /erasure`."""
    return answer(asdict(await services.erasure.customer(customer_id, by=user.name, via="rest")))


@router.get("/demo-history", dependencies=[Depends(lead)], response_model=schemas.Answer[schemas.MadeUp])
async def demo_history(services: Services = Depends(services)) -> Response:
    """How many of the recorded conversations are made up (`make demo-data`)."""
    return answer({"conversations": len(await services.demo_history())})


@router.delete("/demo-history", response_model=schemas.Answer[schemas.Erased])
async def clear_demo_history(user: User = Depends(admin), services: Services = Depends(services)) -> Response:
    """Erase the made-up conversations, and nothing else."""
    made_up = await services.demo_history()
    return answer(asdict(await services.erasure.threads(made_up, by=user.name, via="rest")))


@router.get("/erasure", dependencies=[Depends(admin)], response_model=schemas.Answer[schemas.Compaction])
async def erasure(services: Services = Depends(services)) -> Response:
    """Whether what was erased has left the files, too: `none`, `running`, `done` or `failed`."""
    return answer({"compaction": services.erasure.compaction})
