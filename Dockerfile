# wilss on CPU, or with CUDA:
#   docker build -t wilss .
#   docker build -t wilss:cuda --build-arg TORCH_BACKEND=cu130 .
#   docker run --network host --volume wilss-data:/data wilss
# CONTRIBUTING.md tells the rest.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
# as uv names the builds of torch: cpu, cu126, cu130, ...; the driver on the host has to be new enough for it
ARG TORCH_BACKEND=cpu
RUN pip install --no-cache-dir "uv>=0.8"
ENV UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1 VIRTUAL_ENV=/opt/wilss
RUN uv venv /opt/wilss
WORKDIR /src
# the dependencies are a layer of their own, which stays as long as their ranges do
COPY pyproject.toml ./
RUN uv pip install --torch-backend "${TORCH_BACKEND}" --requirement pyproject.toml
COPY README.md LICENSE ./
COPY wilss wilss
COPY stores stores
COPY tasks tasks
COPY flows flows
COPY deployments deployments
RUN uv pip install --no-deps .

# .devcontainer uses it: what make test needs of the system, and nothing of wilss
FROM python:${PYTHON} AS develop
RUN apt-get update \
    && apt-get install --yes --no-install-recommends chromium git make postgresql \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 --shell /bin/bash wilss
USER wilss

FROM python:${PYTHON}-slim AS run
RUN useradd --create-home --uid 1000 wilss && install --directory --owner wilss --group wilss /data /work
COPY --from=build /opt/wilss /opt/wilss
ENV PATH=/opt/wilss/bin:$PATH PYTHONUNBUFFERED=1 WILSS_ROOT=/data DO_NOT_TRACK=1
USER wilss
WORKDIR /work
VOLUME /data
# Prefect's server and the inspector, on 127.0.0.1 alone: hence --network host
EXPOSE 4200 8460
STOPSIGNAL SIGTERM
# exit code 1 while no service is up; for other commands than "up" switch it off (--no-healthcheck)
HEALTHCHECK --interval=30s --timeout=20s --start-period=120s --retries=3 CMD ["wilss", "status"]
ENTRYPOINT ["wilss"]
CMD ["up"]
