#!/bin/sh
# Starts mysqld as the official image does, for the two variables that the harness uses.
set -eu
quote() { printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e "s/'/\\\\'/g"; }
[ -n "${MYSQL_ROOT_PASSWORD:-}" ] || { echo "MYSQL_ROOT_PASSWORD must be set" >&2; exit 1; }
password=$(quote "$MYSQL_ROOT_PASSWORD")
{
	echo "ALTER USER 'root'@'localhost' IDENTIFIED BY '$password';"
	echo "CREATE USER IF NOT EXISTS 'root'@'%' IDENTIFIED BY '$password';"
	echo "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
	[ -z "${MYSQL_DATABASE:-}" ] || echo "CREATE DATABASE IF NOT EXISTS \`$MYSQL_DATABASE\`;"
} >/run/mysqld/init.sql
[ "${1:-mysqld}" != mysqld ] || shift $(($# > 0 ? 1 : 0))
exec mysqld --no-defaults --user=root --datadir=/var/lib/mysql --socket=/run/mysqld/mysqld.sock \
	--init-file=/run/mysqld/init.sql --secure-file-priv=NULL "$@"
