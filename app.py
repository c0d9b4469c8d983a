"""Starts Smart Support: `python app.py`, or any ASGI server on `app:app`."""

import sys

import uvicorn

from smart_support import Settings, create_app
from smart_support.errors import ConfigError

try:
    settings = Settings()
    app = create_app(settings)
    app.state.services.check()
except ConfigError as error:
    sys.exit(f"Smart Support can't start.\n{error.message}")


def main() -> None:
    """Serve until stopped."""
    print(f"Smart Support: http://{settings.host}:{settings.port}", file=sys.stderr)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        ws="websockets-sansio",
        # Events are small and many: compressing each would cost more than all else a token needs.
        ws_per_message_deflate=False,
        # Else anybody could claim an address; only these proxies may say for whom they ask.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
