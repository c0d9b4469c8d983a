"""Starts Smart Support: `python app.py`, or any ASGI server on `app:app`."""

import sys

from smart_support import Settings, create_app
from smart_support.errors import ConfigError
from smart_support.server import check_port, serve

try:
    settings = Settings()
    app = create_app(settings)
    app.state.services.check()
    if __name__ == "__main__":
        check_port(settings)
except ConfigError as error:
    sys.exit(f"Smart Support can't start.\n{error.message}")

if __name__ == "__main__":
    serve(app, settings)
