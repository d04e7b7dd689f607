package explainguard_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// corpusStatement is one statement of testdata/corpus/<schema>/statements.sql: a line "-- name: …", remarks, the SQL.
// Remarks with a keyword say what the corpus expects against its own rules, each with its reason:
//
//	-- expect: rule, rule: why a careful DBA judges otherwise than the criteria ("pass" for no rule)
//	-- known: kind: why explainguard does not live up to the label; kind is one of those of disagreement
type corpusStatement struct {
	name string
	sql  string

	expect       []string // nil: by the criteria
	expectReason string
	known        map[string]string // kind → reason
}

func (s corpusStatement) writes() bool {
	word, _, _ := strings.Cut(strings.ToUpper(s.sql), " ")
	return word == "INSERT" || word == "UPDATE" || word == "DELETE" || word == "REPLACE" || writingWith.MatchString(s.sql)
}

var writingWith = regexp.MustCompile(`(?is)^WITH .*\)\s*(UPDATE|DELETE)\s`)

// readCorpus reads the statements of one schema.
func readCorpus(t *testing.T, schema string) []corpusStatement {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/corpus", schema, "statements.sql"))
	require.NoError(t, err)
	var out []corpusStatement
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "-- name: "); ok {
			name = strings.TrimSpace(name)
			require.False(t, seen[name], "%s: two statements are called %s", schema, name)
			seen[name] = true
			out = append(out, corpusStatement{name: name, known: map[string]string{}})
			continue
		}
		if len(out) == 0 {
			continue
		}
		s := &out[len(out)-1]
		switch remark, ok := strings.CutPrefix(line, "-- "); {
		case !ok:
			s.sql += line
		case strings.HasPrefix(remark, "expect: "):
			rules, reason, found := strings.Cut(strings.TrimSpace(remark[len("expect: "):]), ": ")
			require.True(t, found && reason != "", "%s: an exception needs a reason", s.name)
			s.expect, s.expectReason = []string{}, reason
			if rules != "pass" {
				s.expect = strings.Split(rules, ", ")
			}
		case strings.HasPrefix(remark, "known: "):
			kind, reason, found := strings.Cut(strings.TrimSpace(remark[len("known: "):]), ": ")
			require.True(t, found && reason != "", "%s: what is known needs a reason", s.name)
			s.known[kind] = reason
		}
	}
	for i := range out {
		out[i].sql = strings.TrimSuffix(strings.TrimSpace(out[i].sql), ";")
		require.NotEmpty(t, out[i].sql, out[i].name)
	}
	require.NotEmpty(t, out)
	return out
}

// label is what really happened when a statement ran. Nothing in it comes from explainguard.
type label struct {
	// Examined is the rows × loops at stored tables; of a write, the rows that its tables were asked for.
	Examined float64 `json:"examined"`
	// Fetched is what performance_schema counted at the stored tables, HandlerReads the sum of Handler_read_%: two
	// other ways to the figure, which count look-ups that find nothing, and temporary tables, too.
	Fetched      float64        `json:"fetched"`
	HandlerReads float64        `json:"handler_reads"`
	Derived      []labelDerived `json:"derived,omitempty"`
	Accesses     []labelAccess  `json:"accesses,omitempty"`
	Empty        bool           `json:"empty,omitempty"` // nothing was planned: the server saw that there can be no row

	// SortRows is the server's counter Sort_rows, TempRows is Handler_write, TempTables Created_tmp_tables: the second way to Taken,
	// and the only one where EXPLAIN ANALYZE is silent.
	SortRows   float64            `json:"sort_rows,omitempty"`
	TempRows   float64            `json:"temp_rows,omitempty"`
	TempTables float64            `json:"temp_tables,omitempty"`
	Taken      []labelTaken       `json:"taken,omitempty"`
	Pairs      []labelPairs       `json:"pairs,omitempty"`
	Repeated   []labelRepeated    `json:"repeated,omitempty"`
	Locked     map[string]float64 `json:"locked,omitempty"`    // records of a table that the transaction had locked
	Converted  []string           `json:"converted,omitempty"` // tables with an index that a conversion makes useless: warning 1739
	Skipped    float64            `json:"skipped,omitempty"`   // rows that OFFSET threw away

	Rules []string `json:"rules"` // what follows from all this

	counted float64 // rows that InnoDB counted for COUNT(*)
}

// labelDerived is a derived table as it really ran.
type labelDerived struct {
	Name     string  `json:"name"`
	Examined float64 `json:"examined"`         // at stored tables, to fill it
	Rows     float64 `json:"rows"`             // that it held, or groups that it formed
	Used     float64 `json:"used"`             // that look-ups by key took out of it
	ByKey    bool    `json:"by_key"`           // it was looked up by key, never read as a whole
	Closed   bool    `json:"closed,omitempty"` // it has a LIMIT or a window: a filter inside would change the result
	Loops    float64 `json:"loops"`            // how often it was filled
}

// labelAccess is one access of a stored table as it really ran.
type labelAccess struct {
	Table string  `json:"table"`
	How   string  `json:"how"` // the server's own words
	Rows  float64 `json:"rows"`
	Loops float64 `json:"loops"`

	Kept *float64 `json:"kept,omitempty"` // of Rows, by the filter right above; nil if there is none
}

func labelsFile(schema string) string {
	return filepath.Join("testdata/corpus", schema, "labels.json")
}

func readLabels(t *testing.T, schema string) map[string]label {
	t.Helper()
	text, err := os.ReadFile(labelsFile(schema))
	require.NoError(t, err, "go test -run TestCorpus -update writes it")
	labels := map[string]label{}
	require.NoError(t, json.Unmarshal(text, &labels))
	return labels
}
