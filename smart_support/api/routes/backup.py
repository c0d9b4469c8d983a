"""`POST /backup`: copies all data. No other process than the app can open the event log."""

from dataclasses import asdict

from fastapi import Depends, Request
from fastapi.responses import Response

from smart_support.api import schemas
from smart_support.api.dependencies import admin, channel, services
from smart_support.api.envelope import answer
from smart_support.api.rest_router import rest_router
from smart_support.identity.users import User
from smart_support.observability.log import get_logger
from smart_support.services import Services
from smart_support.storage.backup import Backup, take

log = get_logger()
router = rest_router(tags=["operations"])


@router.post("/backup", status_code=201, response_model=schemas.Answer[Backup])
async def backup(
    request: Request, user: User = Depends(admin), services: Services = Depends(services)
) -> Response:
    """Copy a consistent snapshot of all data into a new folder in the data folder, while the app goes on.

    Answers when the copy is complete and on disk, with its folder on the server and the digests of its files.
    """
    log.info("backup_requested", by=user.name)
    # Recorded before, so that the copy contains it.
    await services.audit_trail.record("backup_begun", by=user.name, via=channel(request))
    folder = services.settings.data_dir
    taken = await take(services.state, services.event_log, folder, request.app.version)
    return answer(asdict(taken), status=201)
