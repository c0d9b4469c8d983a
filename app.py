"""Starts Smart Support: `python app.py`, or any ASGI server on `app:app`."""

import sys

from smart_support import Settings
from smart_support.errors import ConfigError
from smart_support.garbage_collection import without_garbage_collection
from smart_support.observability.log import get_logger
from smart_support.observability.redaction import hide_environment, redacted
from smart_support.server.run import check_port, serve
from smart_support.settings import unknown_variables
from smart_support.storage.private_files import set_private_umask

set_private_umask()
hide_environment()
try:
    settings = Settings()
    with without_garbage_collection():
        # Imported here, because it imports the whole application.
        from smart_support import create_app

        app = create_app(settings)
        app.state.services.check()
    for name, meant in unknown_variables():
        get_logger().warning("unknown_setting", variable=name, meant=meant)
    if __name__ == "__main__":
        check_port(settings)
except ConfigError as error:
    sys.exit(f"Smart Support can't start.\n{redacted(error.message)}")

if __name__ == "__main__":
    serve(app, settings)
