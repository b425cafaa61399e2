# docker build -t klamm . && docker run -p 9092:9092 klamm
#
# The last stage is everything that runs: one binary, a shell, the scripts of docker/. Nothing is installed in it, so that it can
# also be built on a machine that reaches no registry (compat/docker/image makes the stage before it from the host's binary).
FROM rust:1-bookworm AS root
RUN apt-get update && apt-get install -y --no-install-recommends busybox
WORKDIR /source
COPY . .
RUN cargo build --release --locked && docker/assemble target/release/klamm /image

FROM scratch
COPY --from=root /image/ /
ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
WORKDIR /var/lib/kafka/data
USER appuser
EXPOSE 9092
VOLUME ["/etc/kafka/secrets", "/var/lib/kafka/data", "/mnt/shared/config"]
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["klamm", "health"]
STOPSIGNAL SIGTERM
CMD ["/etc/kafka/docker/run"]
