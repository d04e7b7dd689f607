#!/bin/sh
# Starts mariadbd as the official image does, for the two variables that the harness uses.
set -eu
quote() { printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e "s/'/\\\\'/g"; }
[ -n "${MARIADB_ROOT_PASSWORD:-}" ] || { echo "MARIADB_ROOT_PASSWORD must be set" >&2; exit 1; }
password=$(quote "$MARIADB_ROOT_PASSWORD")
{
	echo "ALTER USER 'root'@'localhost' IDENTIFIED BY '$password';"
	echo "CREATE USER IF NOT EXISTS 'root'@'%' IDENTIFIED BY '$password';"
	echo "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
	[ -z "${MARIADB_DATABASE:-}" ] || echo "CREATE DATABASE IF NOT EXISTS \`$MARIADB_DATABASE\`;"
} >/run/mysqld/init.sql
[ "${1:-mariadbd}" != mariadbd ] || shift $(($# > 0 ? 1 : 0))
exec mariadbd --no-defaults --user=root --datadir=/var/lib/mysql --socket=/run/mysqld/mysqld.sock \
	--character-set-server=utf8mb4 --init-file=/run/mysqld/init.sql "$@"
