# CPU:  docker build -t liqscape .
# GPU:  docker build -t liqscape-gpu --build-arg EXTRAS=server,gpu .    then    docker run --gpus all ...
# The GPU image needs no CUDA base: CuPy and NVRTC come as wheels, the driver from the host. BASE may name another image
# that has /usr/local/bin/python3 at 3.11 or newer.
ARG BASE=python:3.12-slim
ARG NODE=node:22-slim

# What the page imports; nothing of Node is in the image.
FROM ${NODE} AS page
WORKDIR /page
COPY clients/web ./
RUN npm ci --omit=dev

FROM ${BASE} AS build
ARG EXTRAS=server
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY server/liqscape server/liqscape
COPY clients/python/liqscape_client clients/python/liqscape_client
COPY clients/web clients/web
COPY --from=page /page/node_modules clients/web/node_modules
RUN python3 -m venv /opt/liqscape \
    && /opt/liqscape/bin/pip install --no-cache-dir --disable-pip-version-check ".[${EXTRAS}]"

FROM ${BASE}
COPY --from=build /opt/liqscape /opt/liqscape
RUN useradd --no-log-init --uid 10001 --create-home liqscape
USER 10001
WORKDIR /home/liqscape
ENV PATH=/opt/liqscape/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
EXPOSE 50051 50080
# Healthy is a server that answers and does not drain. Whether history is built yet, /healthz of --metrics says.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import sys, grpc; from grpc_health.v1 import health_pb2, health_pb2_grpc; answer = health_pb2_grpc.HealthStub(grpc.insecure_channel('127.0.0.1:50051')).Check(health_pb2.HealthCheckRequest(), timeout=4); sys.exit(answer.status != health_pb2.HealthCheckResponse.SERVING)"]
ENTRYPOINT ["liqscape"]
CMD ["serve", "--source", "simulate", "--listen", "0.0.0.0:50051", "--http", "0.0.0.0:50080", "--insecure"]
