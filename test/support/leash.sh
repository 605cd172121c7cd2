#!/bin/sh
# Runs a command that must not outlive the process that started it, however that one ends. The command takes this shell's
# place (same pid, so signals reach it); a watcher kills it once the parent is gone.
parent=$PPID
self=$$
(
  while kill -0 "$parent" && kill -0 "$self"; do sleep 1; done
  kill -9 "$self"
) </dev/null >/dev/null 2>&1 &
exec "$@"
