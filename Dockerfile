# Build: the lock into a virtual environment. Run: that environment and the sources, as nobody special.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /build
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt

FROM python:3.11.14-slim-bookworm
RUN useradd --uid 10001 --create-home support && mkdir -p /var/lib/smart-support \
    && chown support /var/lib/smart-support
WORKDIR /app
COPY --from=build /venv /venv
COPY app.py ./
COPY smart_support smart_support
COPY pages pages
COPY data data
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    SMART_SUPPORT_DATA_DIR=/var/lib/smart-support SMART_SUPPORT_LOG_FORMAT=json
USER support
VOLUME /var/lib/smart-support
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s CMD ["python", "-c", \
    "import os, sys, http.client as http; get = os.environ.get; host = get('SMART_SUPPORT_HOST', '127.0.0.1'); \
host = {'0.0.0.0': '127.0.0.1', '::': '::1'}.get(host, host); \
app = http.HTTPConnection(host, int(get('SMART_SUPPORT_PORT', '7860')), timeout=4); \
app.request('GET', '/api/v1/health'); sys.exit(app.getresponse().status != 200)"]
CMD ["python", "app.py"]
