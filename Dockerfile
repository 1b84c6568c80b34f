# The one image: operator, movers and the command line. Built from `dist/`, which `make build` makes:
#
#     make build && docker build --tag tenant-backup .
#
# NODE_IMAGE is any image with Node 26 and libatomic; the ground of the tests makes its own where no registry is.
ARG NODE_IMAGE=node:26-bookworm-slim

# Proves before anything is shipped that the program starts on this base, native modules included, and puts the layers in
# an order in which what changes seldom comes first.
FROM ${NODE_IMAGE} AS program
COPY dist /app
RUN ["/app/tenant-backup", "--version"]
RUN ["node", "--eval", "for (const name of ['koffi', 'sodium-native']) require('module').createRequire('/app/main.mjs')(name)"]
RUN ["/bin/sh", "-c", "mkdir /modules && mv /app/node_modules /modules/"]

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="tenant-backup" \
      org.opencontainers.image.description="Keeps every customer's data safe: operator, movers and command line" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=program /modules/ /app/
COPY --from=program /app/ /app/
# Movers that must read files of other owners say so in their pod; everything else needs no rights at all, and writes nothing.
USER 65532:65532
ENTRYPOINT ["/app/tenant-backup"]
