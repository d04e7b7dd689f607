package consistency

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// dialect is all that the session must know about a kind of server.
type dialect struct {
	name    string // "MySQL" or "MariaDB", for people
	version serverVersion
	// identity is an expression that tells this server from every other: KILL must not reach another one.
	identity string
	// readOnly and isolation are the names of these variables, timeLimit that of the limit on a statement, which is counted in limitUnit.
	readOnly, isolation, timeLimit string
	limitUnit                      time.Duration
}

// serverVersion is major, minor, patch.
type serverVersion [3]int

func (v serverVersion) atLeast(w serverVersion) bool {
	for i := range v {
		if v[i] != w[i] {
			return v[i] > w[i]
		}
	}
	return true
}

func (v serverVersion) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// The oldest versions that have every guard. MySQL: transaction_read_only as a variable came with 5.7.20 and 8.0.3. MariaDB: lock_wait_timeout and
// max_statement_time are older; 10.5 is the oldest that its makers maintained when these guards were measured (on 10.11 and 11.8).
var (
	oldestMySQL   = serverVersion{5, 7, 20}
	oldestMariaDB = serverVersion{10, 5, 0}
)

var (
	versionNumber = regexp.MustCompile(`^(\d+)\.(\d+)\.(\d+)`)
	// lookalikes speak MySQL's protocol and state a version of MySQL's, and have another engine behind it.
	lookalikes = regexp.MustCompile(`(?i)TiDB|OceanBase|Vitess|PlanetScale|SingleStore|MemSQL|StarRocks|Doris|ClickHouse|Databend|Dolt`)
)

// dialectOf judges what VERSION() said.
func dialectOf(version string) (dialect, error) {
	m := versionNumber.FindStringSubmatch(version)
	if m == nil || lookalikes.MatchString(version) {
		return dialect{}, notSupported(version)
	}
	var v serverVersion
	for i := range v {
		v[i], _ = strconv.Atoi(m[i+1])
	}
	if strings.Contains(strings.ToLower(version), "mariadb") {
		d := dialect{
			// server_uid is there since 10.5.26, 10.6.19, 10.11.9 and 11.4.3 only.
			name: "MariaDB", version: v, identity: "CONCAT_WS('/', @@GLOBAL.hostname, @@GLOBAL.port, @@GLOBAL.server_id, @@GLOBAL.pid_file)",
			readOnly: "transaction_read_only", isolation: "transaction_isolation", timeLimit: "max_statement_time", limitUnit: time.Second,
		}
		if !v.atLeast(serverVersion{11, 1, 1}) { // https://mariadb.com/docs/server/server-management/variables-and-modes/server-system-variables
			d.readOnly, d.isolation = "tx_read_only", "tx_isolation"
		}
		if !v.atLeast(oldestMariaDB) {
			return dialect{}, notSupported(version)
		}
		return d, nil
	}
	if !v.atLeast(oldestMySQL) || v[0] == 8 && !v.atLeast(serverVersion{8, 0, 3}) {
		return dialect{}, notSupported(version)
	}
	return dialect{
		name: "MySQL", version: v, identity: "CONCAT_WS('/', @@GLOBAL.server_uuid, @@GLOBAL.hostname, @@GLOBAL.port)",
		readOnly: "transaction_read_only", isolation: "transaction_isolation", timeLimit: "max_execution_time", limitUnit: time.Millisecond,
	}, nil
}

func notSupported(version string) error {
	return Permanent(fmt.Errorf("this server is %q, and SQL can keep only MySQL (%s or newer) and MariaDB (%s or newer) from writing; "+
		"look at other databases with a CheckFunc and an account that may only read", clip(version), oldestMySQL, oldestMariaDB))
}

func (d dialect) mariaDB() bool { return d.name == "MariaDB" }

// setting is a session variable and its value as SQL writes it.
type setting struct{ variable, value string }

// guards are the settings that keep a session from writing, from waiting and from running for longer than limit.
func (d dialect) guards(limit, lockWait time.Duration) []setting {
	wait := strconv.Itoa(int(lockWait / time.Second))
	return []setting{
		{d.readOnly, "1"},
		{d.timeLimit, d.limit(limit)},
		{"lock_wait_timeout", wait},
		{"innodb_lock_wait_timeout", wait},
		// A single statement outside of a transaction must neither read what is not committed nor open a transaction that stays.
		{d.isolation, "'REPEATABLE-READ'"},
		{"autocommit", "1"},
	}
}

// limit writes a time limit in the unit of the server, at most a year.
func (d dialect) limit(limit time.Duration) string {
	limit = min(limit, 24*24*time.Hour) // of MySQL's 32 bits of milliseconds
	return strconv.FormatFloat(float64(limit.Truncate(time.Millisecond))/float64(d.limitUnit), 'f', -1, 64)
}

// reads is the statement that asks for the values of these settings.
func reads(settings []setting) string {
	names := make([]string, len(settings))
	for i, s := range settings {
		names[i] = "@@SESSION." + s.variable
	}
	return "SELECT " + strings.Join(names, ", ")
}

// writes is the statement that makes these settings.
func writes(settings []setting) string {
	parts := make([]string, len(settings))
	for i, s := range settings {
		parts[i] = "@@SESSION." + s.variable + " = " + s.value
	}
	return "SET " + strings.Join(parts, ", ")
}

var plainNumber = regexp.MustCompile(`^-?\d+(\.\d+)?$`)

// settingValue writes the value of a variable, as a server told it, so that it can be set again.
func settingValue(value string, null bool) string {
	switch {
	case null:
		return "NULL"
	case plainNumber.MatchString(value):
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", "''") + "'"
}

// lexModeOf judges a session's sql_mode.
func lexModeOf(sqlMode string) (mode lexMode, err error) {
	for m := range strings.SplitSeq(sqlMode, ",") {
		switch m {
		case "NO_BACKSLASH_ESCAPES":
			mode.noBackslash = true
		case "ANSI_QUOTES":
			mode.ansiQuotes = true
		case "ORACLE", "MSSQL":
			err = Permanent(errors.New("the session's sql_mode holds " + m + ", in which MariaDB reads another language than the one that checks are vetted in: set sql_mode in the DSN of this *sql.DB to one without it"))
		}
	}
	return mode, err
}
