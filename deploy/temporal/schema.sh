#!/bin/sh
# Run in Temporal's admin-tools image: brings the schema of both of its databases up to the server's version.
set -eu

schema() {
  tool="temporal-sql-tool --plugin postgres12 --db $1"
  if output=$($tool update-schema --schema-name "$2" 2>&1); then
    echo "$1: up to date"
  elif echo "$output" | grep -Eq 'relation .{0,2}schema_version.{0,2} does not exist'; then
    # Only for an empty database: on another one this would set its version back.
    $tool setup-schema -v 0.0
    $tool update-schema --schema-name "$2"
  else
    echo "$output" >&2
    exit 1
  fi
}

schema temporal postgresql/v12/temporal
schema temporal_visibility postgresql/v12/visibility
