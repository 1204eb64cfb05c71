# The two programs, each a target of its own: docker build --target ingest . (or worker).
# Docker (BuildKit) and podman/buildah build it; compose.yaml runs it.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /source
COPY . .
# What `--version` tells: there is no repository in here.
# docker build --build-arg GIT_COMMIT="$(git rev-parse --short HEAD)" ...
ARG GIT_COMMIT
# The mounts keep downloads and compiled dependencies from one build to the next; an empty one is
# only slower. Cargo tells by the time of a file whether it has changed, and the time of a check-out
# may be older than what another one has left in the mount: hence `touch`.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=clerk-target,target=/source/target,sharing=locked \
    find . -path ./target -prune -o -type f -exec touch {} + \
    && cargo build --release --locked --package ingest --package worker \
    && install -D --target-directory=/programs target/release/ingest target/release/worker

# Rust's glibc target needs libc, libm and libgcc_s: this is the smallest image that has them, of
# the same Debian as the build stage. No shell, no package manager. (The `static` one is smaller but
# needs musl, whose allocator is slow and whose build needs a second C compiler.)
FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
# By number, so that an orchestrator can see that it is not root (Kubernetes' runAsNonRoot).
USER 65532:65532

FROM runtime AS ingest
COPY --from=build /programs/ingest /usr/local/bin/ingest
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/ingest"]

FROM runtime AS worker
# To be run by redis-cli, wherever there is one: docker compose cp worker:/usr/share/clerk-worker/replay.lua .
# --chmod: the mode of a file in a check-out depends on who checked it out.
COPY --from=build --chmod=0644 /source/worker/lua/replay.lua /source/worker/lua/drop.lua /usr/share/clerk-worker/
COPY --from=build /programs/worker /usr/local/bin/worker
ENTRYPOINT ["/usr/local/bin/worker"]
