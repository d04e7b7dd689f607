package explainguard

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// server is what a session's variables tell about a server. All that depends on its kind or version is asked here.
type server map[string]string

func (s server) mariaDB() bool { return strings.Contains(strings.ToLower(s["version"]), "mariadb") }

func (s server) String() string {
	version, _, _ := strings.Cut(s["version"], " ")
	if s.mariaDB() {
		return "MariaDB " + version
	}
	return "MySQL " + version
}

func (s server) has(variable string) bool {
	_, ok := s[variable]
	return ok
}

// readOnly is the variable that keeps a session from writing. MariaDB knew it by its old name only, until 11.1.
func (s server) readOnly() string {
	if s.has("transaction_read_only") {
		return "transaction_read_only"
	}
	return "tx_read_only"
}

// mayReadOnly reports whether the server explains the statement in a read-only session.
func (s server) mayReadOnly(stmt statement) bool {
	return stmt.readOnly && (!stmt.forUpdate || !s.lockingWrites())
}

// canAnalyze is the error of Explainer.Analyze on a server where it is not to be had.
func (s server) canAnalyze() error {
	if s.mariaDB() {
		return fmt.Errorf("the server is %s, on which Analyze runs nothing; leave it unset, or run ANALYZE FORMAT=JSON yourself and give its answer to Parse", s)
	}
	return nil
}

// lockingWrites reports whether the server takes a SELECT … FOR UPDATE for a writing statement, as MariaDB does.
func (s server) lockingWrites() bool { return s.mariaDB() }

// timeLimit is the variable that bounds a statement, and its value for so long; "" when the session has less already, or
// there is none. MySQL counts in milliseconds, for SELECTs; MariaDB in seconds, for every statement.
func (s server) timeLimit(limit time.Duration) (name, value string) {
	name, unit := "max_execution_time", time.Millisecond
	if s.mariaDB() {
		name, unit = "max_statement_time", time.Second
	}
	now, err := strconv.ParseFloat(s[name], 64)
	if err != nil || now > 0 && now <= float64(limit/unit) {
		return "", ""
	}
	return name, strconv.FormatInt(int64(limit/unit), 10)
}

// format settles the format: the wanted one if the server has it, and for none the best that it offers.
func (s server) format(want Format) (Format, error) {
	switch {
	case s.mariaDB():
		if want == FormatUnknown || want == FormatMariaDB {
			return FormatMariaDB, nil
		}
		return want, fmt.Errorf("the server is %s, which tells its plans in a JSON of its own; leave Format unset (%s was asked for)", s, want)
	case want == FormatUnknown:
		if s.has("explain_json_format_version") {
			return FormatJSONv2, nil
		}
		return FormatJSONv1, nil
	case want == FormatJSONv1, want == FormatTree:
		return want, nil
	case want == FormatJSONv2:
		if !s.has("explain_json_format_version") {
			return want, fmt.Errorf("%s has no explain JSON format version 2, which came with 8.3; leave Format unset or set it to FormatJSONv1", s)
		}
		return want, nil
	case want == FormatMariaDB:
		return want, fmt.Errorf("the server is %s, and %s is of MariaDB alone; leave Format unset", s, want)
	default:
		return want, fmt.Errorf("%s (%d) cannot be asked for; leave Format unset, or set FormatJSONv1, FormatJSONv2 or FormatTree", want, int(want))
	}
}

// settingValue writes a variable's value as SET takes it. ON and OFF are 1 and 0 already.
func settingValue(value string) string {
	if _, err := strconv.ParseFloat(value, 64); err == nil {
		return value
	}
	return "'" + strings.ReplaceAll(strings.ReplaceAll(value, `\`, `\\`), "'", "''") + "'"
}
