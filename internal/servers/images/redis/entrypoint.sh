#!/bin/sh
# Starts redis-server as the official image does: no configuration file, no protected mode, options as arguments.
set -eu
case "${1:-}" in redis-server) shift ;; esac
exec redis-server --protected-mode no --dir /data "$@"
