#!/bin/sh
# Run by the Postgres image when its data directory is new: the role and the databases of Temporal.
# The databases of the services are made by the `migrate` job, which also works on a server that somebody else runs.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$TEMPORAL_DB_PASSWORD" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE temporal LOGIN PASSWORD :'password';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
SQL
