package explainguard_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// A rule's examples are testdata/rules/<rule>.txtar:
//
//	-- schema.sql --  tables and data, for all cases of the file; made once per server
//	-- bad.sql --     a statement that the rule fails, also the documentation's example
//	-- want --        what its findings say; each line must occur in one of them
//	-- good.sql --    the statement put right: it passes all default rules
//
// Further cases have the same sections under a name of their own, "left join/bad.sql"; bad.sql needs its want, and good.sql
// may stand alone: a false alarm that must not come back. Such a good.sql is judged by this rule alone.
//
// Optional sections, for the whole file or for one case: "budget" (lines "DerivedRows 100"), "dsn" (parameters of the
// connection, "max_execution_time=1000"), "analyze" (the statements are run, for at most so long: "2s"), "require" (lines "table column" or
// "table column everywhere"), "servers" (the servers it holds for, "MySQL"; default: all), and "formats" (those that show the statement,
// "JSON v1"; default: all). What MariaDB says otherwise stands in "want.MariaDB".
type ruleCase struct {
	name            string
	bad, good, want string
	wants           map[string]string // "want.MariaDB"
	settings        map[string]string // budget, dsn, require, servers
}

// ruleFile is the examples of one rule. The first case is the documentation's.
type ruleFile struct {
	schema string
	cases  []*ruleCase
}

// ruleServer is a server that the examples run on.
type ruleServer struct {
	name    string
	open    func(servers.TB) *servers.MySQLServer
	formats []explainguard.Format
}

// ruleServers are those that the examples run on. The first one's findings are shown in the documentation.
var ruleServers = []ruleServer{
	{"MySQL", servers.MySQL, []explainguard.Format{explainguard.FormatUnknown, explainguard.FormatJSONv1, explainguard.FormatJSONv2}},
	{"MariaDB", servers.MariaDB, []explainguard.Format{explainguard.FormatUnknown}},
}

func readRuleFile(t *testing.T, rule string) *ruleFile {
	t.Helper()
	file := &ruleFile{}
	shared := map[string]string{}
	byName := map[string]*ruleCase{}
	for _, s := range sections(t, filepath.Join("testdata/rules", rule+".txtar")) {
		name, kind := "", s.name
		if at := strings.LastIndex(s.name, "/"); at >= 0 {
			name, kind = s.name[:at], s.name[at+1:]
		}
		data := strings.TrimSpace(s.data)
		switch kind {
		case "schema.sql":
			file.schema = data
			continue
		case "budget", "dsn", "require", "servers", "formats", "analyze":
			if name == "" {
				shared[kind] = data
				continue
			}
		}
		c := byName[name]
		if c == nil {
			c = &ruleCase{name: name, wants: map[string]string{}, settings: map[string]string{}}
			byName[name] = c
			file.cases = append(file.cases, c)
		}
		switch {
		case kind == "bad.sql":
			c.bad = data
		case kind == "good.sql":
			c.good = data
		case kind == "want":
			c.want = data
		case strings.HasPrefix(kind, "want."):
			c.wants[strings.TrimPrefix(kind, "want.")] = data
		case kind == "budget" || kind == "dsn" || kind == "require" || kind == "servers" || kind == "formats" || kind == "analyze":
			c.settings[kind] = data
		default:
			t.Fatalf("%s: section %q is not known", rule, s.name)
		}
	}
	for _, c := range file.cases {
		for kind, data := range shared {
			if _, own := c.settings[kind]; !own {
				c.settings[kind] = data
			}
		}
		require.Equal(t, c.bad == "", c.want == "", "%s %s: bad.sql and want belong together", rule, c.name)
		require.NotEqual(t, "", c.bad+c.good, "%s %s: no statement", rule, c.name)
	}
	require.NotEmpty(t, file.cases, rule)
	require.Equal(t, "", file.cases[0].name, "%s: the first case, for the documentation, has no name", rule)
	require.NotEmpty(t, file.schema, "%s: schema.sql is missing", rule)
	require.NotEmpty(t, file.cases[0].bad, "%s: bad.sql is missing", rule)
	require.NotEmpty(t, file.cases[0].good, "%s: good.sql is missing", rule)
	return file
}

// guard returns a Guard as the case wants it.
func (c *ruleCase) guard(t *testing.T, s *servers.MySQLServer, rules ...*explainguard.Rule) *explainguard.Guard {
	t.Helper()
	g := &explainguard.Guard{DB: c.open(t, s), Rules: rules}
	for line := range strings.Lines(c.settings["budget"]) {
		words := strings.Fields(line)
		require.Len(t, words, 2, line)
		v, err := strconv.ParseFloat(words[1], 64)
		require.NoError(t, err)
		setFigure(t, &g.Budget, words[0], v)
	}
	if limit := c.settings["analyze"]; limit != "" {
		var err error
		g.Analyze, err = time.ParseDuration(limit)
		require.NoError(t, err)
	}
	for line := range strings.Lines(c.settings["require"]) {
		words := strings.Fields(line)
		require.GreaterOrEqual(t, len(words), 2, line)
		g.Require = append(g.Require, explainguard.Require{Table: words[0], Column: words[1], Everywhere: len(words) > 2 && words[2] == "everywhere"})
	}
	return g
}

func setFigure(t *testing.T, b *explainguard.Budget, name string, v float64) {
	t.Helper()
	field := reflect.ValueOf(b).Elem().FieldByName(name)
	require.True(t, field.IsValid(), "Budget has no %s", name)
	field.SetFloat(v)
}

func (c *ruleCase) open(t *testing.T, s *servers.MySQLServer) *sql.DB {
	t.Helper()
	return openDSN(t, s.DSN, func(config *mysql.Config) {
		for line := range strings.Lines(c.settings["dsn"]) {
			if config.Params == nil {
				config.Params = map[string]string{}
			}
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			config.Params[name] = value
		}
	})
}

func (c *ruleCase) on(server string) bool {
	return c.settings["servers"] == "" || strings.Contains(c.settings["servers"], server)
}

func (c *ruleCase) in(format explainguard.Format) bool {
	return c.settings["formats"] == "" || format == explainguard.FormatUnknown || strings.Contains(c.settings["formats"], format.String())
}

func (c *ruleCase) wanted(server string) []string {
	if w, ok := c.wants[server]; ok {
		return strings.Split(w, "\n")
	}
	return strings.Split(c.want, "\n")
}

// TestRuleCases runs every rule's examples on real servers, in every format that they offer.
func TestRuleCases(t *testing.T) {
	for _, rule := range explainguard.DefaultRules() {
		t.Run(rule.Name, func(t *testing.T) {
			file := readRuleFile(t, rule.Name)
			for _, server := range ruleServers {
				t.Run(server.name, func(t *testing.T) {
					s := server.open(t)
					require.NoError(t, runSQL(context.Background(), s.DSN, file.schema))
					for _, c := range file.cases {
						if !c.on(server.name) {
							continue
						}
						for _, format := range server.formats {
							if !c.in(format) || c.settings["analyze"] != "" && format == explainguard.FormatJSONv1 { // it has no EXPLAIN ANALYZE
								continue
							}
							t.Run(strings.TrimPrefix(c.name+"/"+format.String(), "/"), func(t *testing.T) {
								c.run(t, s, rule, server.name, format)
							})
						}
					}
				})
			}
		})
	}
}

func (c *ruleCase) run(t *testing.T, s *servers.MySQLServer, rule *explainguard.Rule, server string, format explainguard.Format) {
	if c.bad != "" {
		g := c.guard(t, s, rule)
		g.Format = format
		r, err := g.Check(t.Context(), c.bad)
		require.NoError(t, err)
		require.Equal(t, explainguard.Fail, r.Verdict, "bad.sql passes\n%s\n%s", r, r.Plan.Rewritten)
		var said []string
		for _, f := range r.Findings {
			require.Equal(t, rule.Name, f.Rule)
			require.NotEmpty(t, f.WayOut, "a finding says what to do")
			said = append(said, f.What+"; way out: "+f.WayOut)
		}
		for _, want := range c.wanted(server) {
			require.Contains(t, strings.Join(said, "\n"), want)
		}
	}
	if c.good != "" {
		rules := []*explainguard.Rule{rule}
		if c.name == "" {
			rules = explainguard.DefaultRules()
		}
		g := c.guard(t, s, rules...)
		g.Format = format
		r, err := g.Check(t.Context(), c.good)
		require.NoError(t, err)
		require.Equal(t, explainguard.Pass, r.Verdict, "good.sql does not pass\n%s\n%s", r, r.Plan.Rewritten)
	}
}

// TestEveryRuleHasExamples: no rule without, and no examples of a rule that is gone.
func TestEveryRuleHasExamples(t *testing.T) {
	var rules, files []string
	for _, r := range explainguard.DefaultRules() {
		rules = append(rules, r.Name)
		if r.Budget != "" {
			_, ok := explainguard.DefaultFigure(r.Budget)
			require.True(t, ok, "%s: Budget has no %s", r.Name, r.Budget)
		}
	}
	list, err := os.ReadDir("testdata/rules")
	require.NoError(t, err)
	for _, f := range list {
		files = append(files, strings.TrimSuffix(f.Name(), ".txtar"))
	}
	require.ElementsMatch(t, rules, files)
}
