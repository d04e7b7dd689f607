package redismigrate

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

const secret = "s3cr3t-Geheim"

func TestEndpointIsCheckedBeforeAnythingIsDone(t *testing.T) {
	for says, e := range map[string]Endpoint{
		"is empty; set URL or Options": {},
		"both URL and Options":         {URL: "redis://h", Options: &redis.Options{Addr: "h:1"}},
		"no Addr":                      {Options: &redis.Options{}},
		"both DBs and AllDBs":          {URL: "redis://h", DBs: []int{1}, AllDBs: true},
		"DBs[1] is -1":                 {URL: "redis://h", DBs: []int{0, -1}},
		"db 3 twice":                   {URL: "redis://h", DBs: []int{3, 3}},
		"none of redis, rediss, unix":  {URL: "http://u:" + secret + "@h"},
		"is not a db number":           {URL: "redis://u:" + secret + "@h/sessions"},
		"a parameter is wrong":         {URL: "redis://u:" + secret + "@h/0?dial_timeut=1s"},
		"cannot be read; expected":     {URL: "redis://u:%zz" + secret + "@h/0"},
	} {
		err := e.Validate()
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), secret)
	}
	_, err := PlanPrune(t.Context(), nil, nil, sessions, besideTests)
	require.ErrorContains(t, err, "target: no endpoint is given")
}

func TestNoPasswordIsEverPrinted(t *testing.T) {
	for _, e := range []Endpoint{
		{URL: "redis://user:" + secret + "@example.com:6379/2"},
		{Options: &redis.Options{Addr: "example.com:6379", DB: 2, Password: secret}},
	} {
		text, err := json.Marshal(map[string]any{"value": e, "pointer": &e, "move": Move{From: &e, To: &e}.From})
		require.NoError(t, err)
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "endpoint", e, "pointer", &e)
		all := fmt.Sprintf("%v %+v %#v %s %v %+v %#v %s %s", e, e, e, e, &e, &e, &e, text, log.String())
		all += fmt.Sprintf("%v %+v", Move{From: &e}, []Endpoint{e})
		require.NotContains(t, all, secret)
		require.Contains(t, all, "example.com:6379 (db 2)")
	}
	s := own(t, "--requirepass", secret)
	for _, e := range []*Endpoint{
		{URL: "redis://:" + secret + "x@" + s.Addr},
		{URL: "redis://nobody:" + secret + "@" + s.Addr},
		{URL: "redis://" + s.Addr},
	} {
		_, err := PlanPrune(t.Context(), e, e, sessions, besideTests)
		require.ErrorContains(t, err, "target "+s.Addr)
		require.ErrorContains(t, err, "check user and password")
		require.NotContains(t, err.Error(), secret)
	}
}

func TestServersThatCannotBeTheTarget(t *testing.T) {
	source := own(t)
	fillMixed(t, source, 60)
	unchanged(t, source)
	plan := func(to *Endpoint) error {
		_, err := PlanPrune(t.Context(), all(source), to, sessions, besideTests)
		require.Error(t, err)
		_, err2 := Copy(t.Context(), Move{From: all(source), To: to, Keys: sessions}, CopyOptions{})
		require.Error(t, err2)
		require.Equal(t, strings.TrimPrefix(err.Error(), "redismigrate: plan prune: "), strings.TrimPrefix(err2.Error(), "redismigrate: copy: "))
		return err
	}
	cluster := own(t, "--cluster-enabled", "yes")
	err := plan(all(cluster))
	require.ErrorContains(t, err, "target "+cluster.Addr+": the cluster serves only 0 of its 16384 slots; repair it")

	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed.Close()
	err = plan(&Endpoint{URL: "redis://" + closed.Addr().String(), AllDBs: true})
	require.ErrorContains(t, err, "check host and port")
	require.ErrorContains(t, err, closed.Addr().String())

	// It accepts connections, and never says a word.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	err = plan(&Endpoint{URL: "redis://" + silent.Addr().String() + "?read_timeout=200ms", AllDBs: true})
	require.ErrorContains(t, err, "did not answer in time")

	_, err = PlanPrune(t.Context(), all(source), &Endpoint{URL: source.URL, DBs: []int{0, 99}}, sessions, besideTests)
	require.ErrorContains(t, err, "db 99")
	require.ErrorContains(t, err, "configured with fewer dbs")
}

func TestAUserWithoutPermission(t *testing.T) {
	source, target := ownPair(t)
	fillMixed(t, source, 600)
	copied(t, source, target)
	ctx := t.Context()
	user := func(s *servers.RedisServer, rules ...any) *Endpoint {
		t.Helper()
		require.NoError(t, s.Client.Do(ctx, append([]any{"ACL", "SETUSER", "op", "reset", "on", ">" + secret, "~*", "+@all"}, rules...)...).Err())
		return &Endpoint{URL: "redis://op:" + secret + "@" + s.Addr, AllDBs: true}
	}
	unchanged(t, source, target)
	for _, command := range []string{"SCAN", "INFO", "SET", "GET", "DBSIZE"} {
		_, err := PlanPrune(ctx, all(source), user(target, "-"+strings.ToLower(command)), sessions, besideTests)
		requireDenied(t, err, "target "+target.Addr, command)
	}
	_, err := PlanPrune(ctx, user(source, "-info"), all(target), sessions, besideTests)
	requireDenied(t, err, "source "+source.Addr, "INFO")
	_, err = PlanPrune(ctx, all(source), user(target, "-unlink", "-del"), sessions, besideTests)
	requireDenied(t, err, "target "+target.Addr, "UNLINK")
	requireDenied(t, err, "target "+target.Addr, "DEL")
	require.Empty(t, target.Client.Keys(ctx, canaryPrefix+"*").Val(), "a plan that fails leaves no canary")

	fresh := own(t)
	for _, command := range []string{"RESTORE", "INFO"} {
		r, err := Copy(ctx, Move{From: all(source), To: user(fresh, "-"+strings.ToLower(command)), Keys: everything}, CopyOptions{})
		requireDenied(t, err, "target "+fresh.Addr, command)
		require.Zero(t, r.Copied)
	}
	for _, command := range []string{"DUMP", "SCAN"} {
		_, err := Copy(ctx, Move{From: user(source, "-"+strings.ToLower(command)), To: all(fresh), Keys: everything}, CopyOptions{})
		requireDenied(t, err, "source "+source.Addr, command)
	}
	require.Zero(t, fresh.Client.DBSize(ctx).Val())
	v, err := Verify(ctx, Move{From: user(source, "-dump"), To: all(target), Keys: everything}, VerifyOptions{})
	requireDenied(t, err, "source "+source.Addr, "DUMP")
	require.Equal(t, Unknown, v.Verdict)

	// The permission is taken away, or is for some keys only, after the plan.
	p, err := PlanPrune(ctx, all(source), user(target), sessions, besideTests)
	require.NoError(t, err)
	user(target, "-unlink")
	r, err := p.Apply(ctx, p.Confirmation())
	requireDenied(t, err, "target "+target.Addr, "UNLINK")
	require.Zero(t, r.Deleted)
	user(target)
	require.NoError(t, p.Discard(ctx))
}

func requireDenied(t *testing.T, err error, who, command string) {
	t.Helper()
	require.Error(t, err, command)
	require.ErrorContains(t, err, who)
	require.Contains(t, strings.ToUpper(err.Error()), command)
	require.ErrorContains(t, err, "grant it (ACL SETUSER")
	require.NotContains(t, err.Error(), secret)
}

func TestAServerThatHangsDoesNotHoldUpACancelledJob(t *testing.T) {
	source, target := ownPair(t)
	fillMixed(t, source, 6000)
	copied(t, source, target)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	paused := false
	p, err := PlanPrune(t.Context(), all(source), all(target), sessions, PruneOptions{AllowClients: true, ScanCount: 100, Batch: 50, Progress: func(p Progress) {
		if p.Job == "prune" && p.DB == 1 && !paused {
			paused = true
			require.NoError(t, target.Client.Do(t.Context(), "CLIENT", "PAUSE", 60_000, "ALL").Err())
			time.AfterFunc(500*time.Millisecond, cancel) // by then commands are sent that get no answer
		}
	}})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := p.Apply(ctx, p.Confirmation())
		done <- err
	}()
	select {
	case err := <-done:
		require.Error(t, err)
	case <-time.After(20 * time.Second): // far below the pause and the default time limit of a reply
		t.Fatal("Apply did not stop with its context")
	}
}
