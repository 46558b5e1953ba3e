# Build the wheel and its dependencies once, run them in a slim image as a user without a name or a shell.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY service service
COPY sandbox sandbox
COPY migrations migrations
RUN python -m venv /opt/skep && /opt/skep/bin/pip install --no-cache-dir .

FROM python:3.13-slim
COPY --from=build /opt/skep /opt/skep
# The volume belongs to the user before it is mounted, so that a fresh named volume does too; and to the group of root,
# so that compose's root, who may not overrule a file's mode, can write it.
RUN install -d -o 10001 -g 0 -m 0770 /data /data/functions
USER 10001:10001
WORKDIR /data
# Bound to every address it does not start without a key: set ADMIN_KEY, or say AUTH=off.
ENV HOST=0.0.0.0 \
    PORT=4000 \
    LOG_FORMAT=json \
    FUNCTIONS_STORAGE_FILESYSTEM_DIRPATH=/data/functions/ \
    DATABASE_PATH=/data/skep.db
VOLUME /data
EXPOSE 4000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/opt/skep/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:4000/sys/healthcheck', timeout=2)"]
ENTRYPOINT ["/opt/skep/bin/skep"]
