package consistency_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/consistency/slack"
	"github.com/tashikame-go/tashikame/internal/fakeslack"
	"github.com/tashikame-go/tashikame/internal/servers"
)

const (
	soakChannel = "C0SOAK"
	soakCheck   = "negative-stock"
	soakRemind  = time.Second
)

// soakProcess is what the parent tells the process that it kills.
type soakProcess struct{ DSN, Dir, Slack string }

func (p soakProcess) store(db *sql.DB) consistency.Store {
	if p.Dir != "" {
		return consistency.FileStore{Dir: p.Dir}
	}
	return consistency.SQLStore{DB: db}
}

func (p soakProcess) runner(db *sql.DB) *consistency.Runner {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	return &consistency.Runner{
		Checks: []consistency.Check{consistency.SQL{
			Meta: consistency.Meta{Name: soakCheck, Remind: soakRemind, Retry: &consistency.Retry{Attempts: 2, Delay: 5 * time.Millisecond}},
			DB:   db, Query: "SELECT id, n FROM stock WHERE n < 0 ORDER BY id", Key: []string{"id"}, Population: "SELECT COUNT(*) FROM stock",
		}},
		Store: p.store(db), DigestEvery: -1, Logger: log,
		Notifiers: []consistency.Notifier{&slack.Notifier{Token: "xoxb-soak", Channel: soakChannel, APIURL: p.Slack, Logger: log}},
	}
}

// TestSoakRunnerToBeKilled is the process that the next test kills; on its own it does nothing.
func TestSoakRunnerToBeKilled(t *testing.T) {
	text := os.Getenv("TASHIKAME_SOAK_RUNNER")
	if text == "" {
		return
	}
	var p soakProcess
	require.NoError(t, json.Unmarshal([]byte(text), &p))
	db, err := sql.Open("mysql", p.DSN)
	require.NoError(t, err)
	fmt.Println("running")
	for {
		if _, err := p.runner(db).Run(context.Background()); err != nil {
			fmt.Println("error:", err)
		}
	}
}

// The runner is killed at random moments while rows become wrong and right. Then no state is lost or torn, each incident has one thread, and whatever is wrong
// for longer than a reminder's period has been told within it by the next run that nobody kills.
func TestSoakKilledRunnerForgetsNothing(t *testing.T) {
	t.Parallel()
	kills := 6
	if os.Getenv("TASHIKAME_SOAK") != "" {
		kills = 100
	}
	for _, kind := range []string{"file", "MySQL"} {
		t.Run(kind, func(t *testing.T) {
			server := servers.MySQL(t)
			fake := fakeslack.New("xoxb-soak", soakChannel)
			fake.Burst = 1e6
			api := httptest.NewServer(fake)
			defer api.Close()
			p := soakProcess{DSN: server.DSN, Slack: api.URL + "/api/"}
			if kind == "file" {
				p.Dir = t.TempDir()
			}
			must(t, server.DB, "CREATE TABLE stock (id INT PRIMARY KEY, n INT NOT NULL)")
			must(t, server.DB, "INSERT INTO stock VALUES (1, 5), (2, 5), (3, 5), (4, 5), (5, 5)")
			random := rand.New(rand.NewPCG(3, uint64(kills)))
			wrong := map[string]bool{}
			firstSeen := map[string]time.Time{}
			incidents := map[string]bool{}
			reminded := 0
			for kill := range kills {
				cmd := exec.Command(os.Args[0], "-test.run=^TestSoakRunnerToBeKilled$")
				text, err := json.Marshal(p)
				require.NoError(t, err)
				cmd.Env = append(os.Environ(), "TASHIKAME_SOAK_RUNNER="+string(text))
				out, err := cmd.StdoutPipe()
				require.NoError(t, err)
				require.NoError(t, cmd.Start())
				_, err = io.ReadFull(out, make([]byte, len("running")))
				require.NoError(t, err)
				// Most kills meet an incident that lasts; every fifth time all is repaired, and a new one begins.
				for id := 1; id <= 5; id++ {
					n := random.IntN(3) - 1
					if kill%5 == 4 {
						n = 5
					} else if id == 1 {
						n = -1
					}
					must(t, server.DB, "UPDATE stock SET n = ? WHERE id = ?", n, id)
					wrong[fmt.Sprint(id)] = n < 0
				}
				time.Sleep(time.Duration(random.IntN(150_000)) * time.Microsecond)
				require.NoError(t, cmd.Process.Kill())
				_ = cmd.Wait()

				// What it left can be read, and goes on.
				begun := time.Now()
				_, err = p.store(server.DB).Load(t.Context(), soakCheck)
				require.NoError(t, err, "after kill %d", kill)
				s, err := p.runner(server.DB).Run(t.Context())
				require.NoError(t, err)
				require.NoError(t, s.Results[0].Err)
				state, err := p.store(server.DB).Load(t.Context(), soakCheck)
				require.NoError(t, err)
				require.NotZero(t, state.Version)
				now := map[string]bool{}
				for _, row := range state.Rows {
					now[row.Key] = true
					if was, known := firstSeen[row.Key]; known {
						require.False(t, row.FirstSeen.After(was), "row %s has lost its age", row.Key)
					}
					firstSeen[row.Key] = row.FirstSeen
				}
				for key, is := range wrong {
					require.Equal(t, is, now[key], "row %s after kill %d", key, kill)
					if !is {
						delete(firstSeen, key)
					}
				}
				if state.Incident != nil {
					incidents[state.Incident.ID] = true
				}
				for name, d := range state.Deliveries {
					require.Nil(t, d.Pending, "%s was not told everything", name)
					if state.Incident != nil {
						require.Less(t, begun.Sub(d.Reminded), soakRemind, "a reminder was missed")
					}
				}
				reminded += len(state.Deliveries)
			}
			threads := map[string]int{}
			for _, m := range fake.Top(soakChannel) {
				var metadata struct {
					Payload struct {
						Incident string `json:"incident"`
					} `json:"event_payload"`
				}
				require.NoError(t, json.Unmarshal(m.Metadata, &metadata))
				threads[metadata.Payload.Incident]++
			}
			for id := range incidents {
				require.Equal(t, 1, threads[id], "threads of incident %s", id)
			}
			require.Greater(t, len(incidents), kills/6)
			require.Equal(t, kills, reminded)
			resolved := 0
			for _, m := range fake.Messages(soakChannel) {
				if m.ThreadTS != "" && m.ThreadTS != m.TS && strings.HasPrefix(m.Text, "✅") {
					resolved++
				}
			}
			t.Logf("%s: %d kills, %d incidents, a thread each, %d resolved notices, no state lost, nothing left untold", kind, kills, len(incidents), resolved)
		})
	}
}
