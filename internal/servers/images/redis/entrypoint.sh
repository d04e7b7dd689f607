#!/bin/sh
# Starts redis-server or valkey-server as the official images do: no configuration file, no protected mode, options as arguments.
set -eu
case "${1:-}" in redis-server | valkey-server) shift ;; esac
exec "$SERVER-server" --protected-mode no --dir /data "$@"
