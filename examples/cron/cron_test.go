package main

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/internal/fakeslack"
	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

const channel = "C0CHECKS"

// scene is the program, built, with its checks, two databases and a Slack.
type scene struct {
	*testing.T
	shop, billing *servers.MySQLServer
	slack         *fakeslack.Server
	program, dir  string
	env           []string
}

func newScene(t *testing.T) *scene {
	s := &scene{T: t, shop: servers.MySQL(t), billing: servers.MySQL(t), slack: fakeslack.New("xoxb-token", channel), dir: t.TempDir()}
	s.slack.Burst = 100 // the example is not to be slowed down by Slack's limit of one message a second
	server := httptest.NewServer(s.slack)
	t.Cleanup(server.Close)
	s.env = append(os.Environ(), "SHOP_DSN="+s.shop.DSN, "BILLING_DSN="+s.billing.DSN, "SLACK_TOKEN=xoxb-token", "SLACK_CHANNEL="+channel, "SLACK_API_URL="+server.URL+"/api/")
	s.program = filepath.Join(s.dir, "cron")
	out, err := exec.Command("go", "build", "-o", s.program, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "checks"), 0o755))
	files, err := filepath.Glob("checks/*.sql")
	require.NoError(t, err)
	require.Len(t, files, 3)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		quick := strings.ReplaceAll(string(text), "3 every 10s", "3 every 200ms")
		require.NotEqual(t, string(text), quick)
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, file), []byte(quick), 0o600))
	}
	s.do(s.shop, "CREATE TABLE orders (id BIGINT PRIMARY KEY, email VARCHAR(100), amount DECIMAL(10,2), paid_at DATETIME)")
	s.do(s.shop, "CREATE TABLE payments (order_id BIGINT PRIMARY KEY)")
	s.do(s.shop, "CREATE TABLE outbox (id BIGINT PRIMARY KEY, aggregate_id BIGINT, type VARCHAR(40), created_at DATETIME, published_at DATETIME)")
	s.do(s.billing, "CREATE TABLE invoices (order_id BIGINT PRIMARY KEY, total DECIMAL(12,4))")
	const ids = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT "
	s.do(s.shop, "INSERT INTO orders "+ids+"i, CONCAT('客', i, '@example.com'), i * 1.1, '2026-11-01 09:00:00' FROM n")
	s.do(s.shop, "INSERT INTO payments "+ids+"i FROM n")
	s.do(s.shop, "INSERT INTO outbox "+ids+"i, i, 'OrderPaid', '2026-11-01 09:00:00', '2026-11-01 09:00:01' FROM n")
	s.do(s.billing, "INSERT INTO invoices "+ids+"i, i * 1.1 FROM n")
	return s
}

func (s *scene) do(server *servers.MySQLServer, stmt string) {
	s.Helper()
	_, err := server.DB.Exec(stmt)
	require.NoError(s, err, stmt)
}

// run runs the program once, as cron does, and returns what it logged.
func (s *scene) run() string {
	s.Helper()
	cmd := exec.Command(s.program)
	cmd.Dir, cmd.Env = s.dir, s.env
	out, err := cmd.CombinedOutput()
	require.NoError(s, err, string(out))
	require.NotContains(s, string(out), "xoxb")
	return string(out)
}

// dayPasses sets back when people were last told of the checks by a day.
func (s *scene) dayPasses(checks ...string) {
	store := consistency.FileStore{Dir: filepath.Join(s.dir, "state")}
	for _, check := range checks {
		state, err := store.Load(s.Context(), check)
		require.NoError(s, err)
		require.Len(s, state.Deliveries, 1)
		for name, d := range state.Deliveries {
			d.Reminded = d.Reminded.Add(-24 * time.Hour)
			state.Deliveries[name] = d
		}
		_, err = store.Save(s.Context(), check, state)
		require.NoError(s, err)
	}
}

// threads are the channel's threads by the check that their first message names; the daily digest is not one.
func (s *scene) threads() map[string]fakeslack.Message {
	out := map[string]fakeslack.Message{}
	for _, m := range s.slack.Top(channel) {
		for _, check := range []string{"orders-without-payment", "events-never-published", "invoices-agree"} {
			if strings.Contains(m.Text, check) && strings.Contains(string(m.Metadata), "incident") {
				require.NotContains(s, out, check, "a second thread")
				out[check] = m
			}
		}
	}
	return out
}

func (s *scene) replies(check string) []fakeslack.Message {
	return s.slack.Thread(channel, s.threads()[check].TS)
}

// The list of what a team learned in a year of operation, one by one.
func TestTheWholeList(t *testing.T) {
	s := newScene(t)
	require.Contains(t, s.run(), "0 inconsistent, 0 unknown, 3 consistent")
	require.Empty(t, s.threads(), "nobody is told that all is well, but for the digest")
	require.Len(t, s.slack.Top(channel), 1)
	require.Contains(t, s.slack.Top(channel)[0].Text, "3 consistent", "the digest: silence is not health")

	// Retries are essential: 733 is only late.
	s.do(s.shop, "DELETE FROM payments WHERE order_id IN (417, 733)")
	healed := make(chan error)
	go func() {
		time.Sleep(100 * time.Millisecond)
		_, err := s.shop.DB.Exec("INSERT IGNORE INTO payments VALUES (733)")
		healed <- err
	}()
	require.Contains(t, s.run(), "1 inconsistent, 0 unknown, 2 consistent")
	require.NoError(t, <-healed)
	const check = "orders-without-payment"
	require.Len(t, s.threads(), 1, "one thread per check")
	require.Regexp(t, `^\S+ \*1 \(\+1\): `+check, s.threads()[check].Text, "the count first")
	replies := s.replies(check)
	require.Len(t, replies, 1)
	require.Contains(t, replies[0].Text, `"id":417`, "rows as JSON")
	require.NotContains(t, replies[0].Text, "733")
	fence := regexp.MustCompile("(?s)```\n(.*?)\n```").FindStringSubmatch(replies[0].Text)
	require.True(t, json.Valid([]byte(fence[1])), fence)
	for _, m := range s.slack.Messages(channel) {
		require.NotContains(t, m.Text, "example.com", "a masked column")
	}

	// An increase is visible, and only what is new is shown.
	s.do(s.shop, "DELETE FROM payments WHERE order_id = 418")
	s.do(s.billing, "UPDATE invoices SET total = total + 0.01 WHERE order_id = 5")
	s.run()
	require.Len(t, s.threads(), 2)
	require.Regexp(t, `^\S+ \*2 \(\+1\S*.*\): `+check, s.threads()[check].Text)
	replies = s.replies(check)
	require.Len(t, replies, 2)
	require.Contains(t, replies[1].Text, `"id":418`)
	require.NotContains(t, replies[1].Text, `"id":417`)
	invoices := s.replies("invoices-agree")
	require.Len(t, invoices, 1)
	require.Contains(t, invoices[0].Text, `"shop.amount":"5.5","billing.amount":"5.51"`)

	// Until the next day it is quiet.
	before := len(s.slack.Messages(channel))
	s.run()
	require.Len(t, s.slack.Messages(channel), before)

	// Every day until it is resolved, so that nothing is forgotten.
	s.dayPasses(check, "invoices-agree")
	s.run()
	s.run()
	require.Len(t, s.replies(check), 3, "one reminder")
	require.Len(t, s.replies("invoices-agree"), 2, "one reminder")

	// Resolved is told once.
	s.do(s.shop, "INSERT INTO payments VALUES (417), (418)")
	s.run()
	s.run()
	require.Len(t, s.replies(check), 4)
	require.Contains(t, s.replies(check)[3].Text, "✅")
	require.Regexp(t, `^✅ \*0 `, s.threads()[check].Text)

	// A check that cannot tell is as loud as one that finds something.
	s.do(s.shop, "RENAME TABLE outbox TO outbox_old")
	require.Contains(t, s.run(), "1 inconsistent, 1 unknown, 1 consistent")
	require.Contains(t, s.threads()["events-never-published"].Text, "could not tell")
	require.Contains(t, s.threads()["events-never-published"].Text, "check the table name")
}

// Whoever counts the lines of the program counts these.
func TestTheProgramIsShort(t *testing.T) {
	text, err := os.ReadFile("main.go")
	require.NoError(t, err)
	lines := 0
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			lines++
		}
	}
	require.LessOrEqual(t, lines, 25)
}
