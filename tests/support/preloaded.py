"""What an app process imports, imported once: the fork server loads this, and each app begins as its fork."""

import os
import sys
import tempfile
from pathlib import Path
from unittest import mock

from smart_support.garbage_collection import without_garbage_collection

# Settings of the test that starts the fork server are no settings of the next ones.
for _name in [name for name in os.environ if name.startswith("OTEL_")]:
    del os.environ[_name]
_unset = {name: value for name, value in os.environ.items() if "SMART_SUPPORT" not in name}
# Looking for garbage among what is imported would take a fifth of the time here, and some in every fork.
with without_garbage_collection():
    import anyio._backends._asyncio  # noqa: F401
    import langchain_openai  # noqa: F401
    import uvicorn
    import uvicorn.lifespan.on
    import uvicorn.loops.uvloop
    import uvicorn.protocols.http.httptools_impl
    import uvicorn.protocols.websockets.websockets_sansio_impl  # noqa: F401

    from smart_support import Settings, create_app
    from smart_support.outbound.client import trusted_authorities
    from tests.support.new_databases import copy_new_databases

    copy_new_databases(for_forks=True)
    # Kept for as long as the environment names the same files of authorities.
    trusted_authorities()
    # One app is made and dropped: the first one compiles the schemas of all routes, which takes long.
    with mock.patch.dict(os.environ, _unset, clear=True), tempfile.TemporaryDirectory() as _folder:
        create_app(Settings(data_dir=Path(_folder)))


def loaded(into: str, *prefixes: str) -> None:
    """Write down which modules of these names an app process has, once it has made its app."""
    create_app(Settings(data_dir=Path(into).parent / "var"))
    Path(into).write_text(" ".join(name for name in sys.modules if name.startswith(prefixes)))
