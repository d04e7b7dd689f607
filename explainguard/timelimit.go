package explainguard

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// TimeLimit is how long a server lets a statement run before it ends it.
type TimeLimit struct {
	Limit  time.Duration   // 0: as long as it takes
	Source TimeLimitSource // where it comes from; "" without a limit
}

// TimeLimitSource says who set a time limit.
type TimeLimitSource string

// The sources of time limits.
const (
	LimitByHint    TimeLimitSource = "hint"    // MAX_EXECUTION_TIME(…), or SET_VAR(max_execution_time = …), in the statement
	LimitBySession TimeLimitSource = "session" // the session's max_execution_time; on MariaDB, max_statement_time
)

// The server prints hints that are in force, and only those, into the statement that it rewrote.
var (
	hintedTime = regexp.MustCompile(`(?i)\bmax_execution_time\s*\(\s*(\d+)\s*\)`)
	setVarTime = regexp.MustCompile(`(?i)\bset_var\s*\(\s*max_execution_time\s*=\s*(\d+)\s*\)`)
	wantedTime = regexp.MustCompile(`(?i)\bmax_execution_time\b`)
)

// hintedLimit reads the limit that a statement has by its own hints, from the server's rewritten text. It is not set
// where the statement leaves it to the session, as MAX_EXECUTION_TIME(0) does.
func hintedLimit(rewritten string) (limit TimeLimit, set bool) {
	hints := hintText(rewritten)
	if ms := milliseconds(hintedTime, hints); ms > 0 {
		return TimeLimit{ms, LimitByHint}, true
	}
	switch ms := milliseconds(setVarTime, hints); {
	case ms > 0:
		return TimeLimit{ms, LimitByHint}, true
	case ms == 0: // takes the session's limit away
		return TimeLimit{}, true
	}
	return TimeLimit{}, false
}

func milliseconds(pattern *regexp.Regexp, hints string) time.Duration {
	m := pattern.FindStringSubmatch(hints)
	if m == nil {
		return -1
	}
	ms, err := strconv.ParseInt(m[1], 10, 32) // what the server takes
	if err != nil {
		return -1
	}
	return time.Duration(ms) * time.Millisecond
}

// hintText returns what stands in the comments /*+ … */ of a statement, wherever they are; strings, quoted names and other
// comments do not count.
func hintText(query string) string {
	var b strings.Builder
	for i := 0; i < len(query); {
		if next, kind := skipComment(query, i); kind != commentNone {
			if text, ok := strings.CutPrefix(query[i:next], "/*+"); ok {
				b.WriteString(strings.TrimSuffix(text, "*/") + " ")
			}
			i = next
			continue
		}
		if c := query[i]; c == '\'' || c == '"' || c == '`' {
			i = skipQuoted(query, i)
			continue
		}
		i++
	}
	return b.String()
}

// sessionLimit reads the limit of a session from its variables. MySQL's holds for SELECT alone, MariaDB's for everything.
func sessionLimit(variables map[string]string, readOnly bool) TimeLimit {
	if s, err := strconv.ParseFloat(variables["max_statement_time"], 64); err == nil && s > 0 {
		return TimeLimit{time.Duration(s * float64(time.Second)), LimitBySession}
	}
	if ms, err := strconv.ParseInt(variables["max_execution_time"], 10, 64); err == nil && ms > 0 && readOnly {
		return TimeLimit{time.Duration(ms) * time.Millisecond, LimitBySession}
	}
	return TimeLimit{}
}

// limitTime notes the limit under which the statement runs in a session with these variables.
func (p *Plan) limitTime(variables map[string]string, readOnly bool) {
	limit, set := hintedLimit(p.Rewritten)
	if !set || !readOnly {
		limit = sessionLimit(variables, readOnly)
	}
	p.TimeLimit = &limit
}

// writes reports whether the statement changes data.
func (p *Plan) writes() bool {
	for _, text := range []string{p.Query, p.Rewritten} {
		switch word := strings.ToUpper(firstWord(text)); word {
		case "":
		case "WITH":
			if s, err := oneStatement(text); err == nil {
				return !s.readOnly
			}
		default:
			if readOnly, ok := explainable[word]; ok {
				return !readOnly
			}
		}
	}
	found := false
	if p.Root != nil {
		p.Root.Root.walk(func(n *Node) { found = found || n.Target || n.Op == OpWrite })
	}
	return found
}
