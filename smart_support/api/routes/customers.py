"""`/customers`, `/demo-history` and `/erasure`: erases conversations."""

from dataclasses import asdict

from fastapi import Depends
from fastapi.responses import Response

from smart_support.api import schemas
from smart_support.api.dependencies import admin, lead, services
from smart_support.api.envelope import answer
from smart_support.api.rest_router import rest_router
from smart_support.conversation.erasure import Erased
from smart_support.identity.users import User
from smart_support.services import Services

router = rest_router(tags=["customers"])


@router.delete("/customers/{customer_id}", response_model=schemas.Answer[Erased])
async def erase(
    customer_id: str, user: User = Depends(admin), services: Services = Depends(services)
) -> Response:
    """Erase all conversations of a customer. The files are compacted soon after; see `GET /erasure`."""
    return answer(asdict(await services.erasure.customer(customer_id, by=user.name, via="rest")))


@router.get("/demo-history", dependencies=[Depends(lead)], response_model=schemas.Answer[schemas.DemoHistory])
async def demo_history(services: Services = Depends(services)) -> Response:
    """Count the recorded conversations that `make demo-data` generated."""
    return answer({"conversations": len(await services.demo_history())})


@router.delete("/demo-history", response_model=schemas.Answer[Erased])
async def clear_demo_history(user: User = Depends(admin), services: Services = Depends(services)) -> Response:
    """Erase the generated conversations only."""
    thread_ids = await services.demo_history()
    return answer(asdict(await services.erasure.threads(thread_ids, by=user.name, via="rest")))


@router.get("/erasure", dependencies=[Depends(admin)], response_model=schemas.Answer[schemas.CompactionState])
async def erasure(services: Services = Depends(services)) -> Response:
    """The state of the compaction that removes erased data from the files."""
    return answer({"compaction": services.erasure.compaction})
