package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/redismigrate"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// program runs the program in-process.
func program(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(stdin), &out, &err)
	t.Log(args, code, "\n", out.String(), err.String())
	return code, out.String(), err.String()
}

// pair is a source with 100 sessions of 300 keys, and an empty target, named by the environment.
func pair(t *testing.T) (source, target *servers.RedisServer) {
	t.Helper()
	source, target = servers.OwnRedis(t, "--save", ""), servers.OwnRedis(t, "--save", "")
	for i := range 300 {
		require.NoError(t, source.Client.Set(t.Context(), fmt.Sprintf("%s:%d", []string{"session", "user", "カート"}[i%3], i), i, time.Hour).Err())
	}
	t.Setenv("REDISMIGRATE_SOURCE", source.URL)
	t.Setenv("REDISMIGRATE_TARGET", target.URL)
	return source, target
}

func size(t *testing.T, s *servers.RedisServer) int64 {
	t.Helper()
	n, err := s.Client.DBSize(t.Context()).Result()
	require.NoError(t, err)
	return n
}

func TestEveryCommandOnRealServers(t *testing.T) {
	source, target := pair(t)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }

	code, out, _ := program(t, "", "inspect", "-json")
	require.Equal(t, exitGood, code)
	var card redismigrate.Server
	require.NoError(t, json.Unmarshal([]byte(out), &card))
	require.Equal(t, redismigrate.Redis, card.Flavour)
	require.NoError(t, os.WriteFile(file("card.json"), []byte(out), 0o600))
	code, out, _ = program(t, "", "inspect", "-target", "-compare", file("card.json"))
	require.Equal(t, exitBad, code, "an empty store is not like a full one")
	require.Contains(t, out, "keys")

	code, out, _ = program(t, "", "measure", "-include", "session:*")
	require.Equal(t, exitGood, code)
	require.Contains(t, out, "session:")

	code, out, _ = program(t, "", "plan", "-include", "session:*")
	require.Equal(t, exitGood, code)
	require.Contains(t, out, "<- chosen")
	code, out, _ = program(t, "", "plan", "-include", "session:*", "-strategy", "copy", "-json")
	require.Equal(t, exitGood, code)
	require.Contains(t, out, `"chosen": "copy"`)

	code, out, _ = program(t, "", "copy", "-include", "session:*")
	require.Equal(t, exitGood, code)
	require.Contains(t, out, "would copy 100 keys")
	require.Zero(t, size(t, target), "not without -apply")
	code, out, _ = program(t, "", "verify", "-include", "session:*", "-differences", file("differences"))
	require.Equal(t, exitBad, code)
	require.Contains(t, out, "mismatch: ")
	lines, err := os.ReadFile(file("differences"))
	require.NoError(t, err)
	require.Equal(t, 100, bytes.Count(lines, []byte("\n")))
	code, out, _ = program(t, "", "copy", "-include", "session:*", "-apply", "-checkpoint", file("checkpoint"))
	require.Equal(t, exitGood, code)
	require.Contains(t, out, "copied 100")
	code, _, _ = program(t, "", "copy", "-include", "session:*", "-apply", "-checkpoint", file("checkpoint"))
	require.Equal(t, exitGood, code, "finished before")
	code, _, _ = program(t, "", "verify", "-include", "session:*")
	require.Equal(t, exitGood, code)

	// What is left of the source is pruned to the users' keys.
	require.NoError(t, target.Client.FlushAll(t.Context()).Err())
	require.NoError(t, target.Restore(source))
	prune := func(stdin string, args ...string) (int, string, string) {
		return program(t, stdin, append([]string{"prune", "-plan", file("plan"), "-allow-clients"}, args...)...)
	}
	code, out, _ = prune("", "-include", "session:*", "-manifest", file("manifest"))
	require.Equal(t, exitGood, code)
	at := strings.Index(out, "delete 200 keys and keep 100 on ")
	require.Positive(t, at)
	confirmation, _, _ := strings.Cut(out[at:], "\n")
	code, _, errs := prune("", "-include", "session:*")
	require.Equal(t, exitUsage, code, "a plan is not overwritten")
	require.Contains(t, errs, "name a file that does not exist yet")
	code, _, errs = prune("yes\n", "-apply")
	require.Equal(t, exitBad, code)
	require.Contains(t, errs, "the confirmation is")
	code, _, errs = prune("", "-apply")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "nothing was deleted")
	code, out, _ = prune(confirmation+"\n", "-apply")
	require.Equal(t, exitGood, code)
	require.Contains(t, out, "deleted 200")
	code, _, _ = program(t, "", "verify", "-include", "session:*")
	require.Equal(t, exitGood, code)
	code, _, _ = program(t, "", "verify", "-manifest", file("manifest"))
	require.Equal(t, exitGood, code)
	require.Equal(t, int64(300), size(t, source))

	// A snapshot, without a server.
	rdb, err := source.Snapshot()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file("in.rdb"), rdb, 0o600))
	code, out, _ = program(t, "", "filter", "-include", "user:*", file("in.rdb"), file("out.rdb"))
	require.Equal(t, exitGood, code)
	require.Contains(t, out, "100")
	code, _, errs = program(t, "", "filter", "-include", "user:*", file("in.rdb"), file("out.rdb"))
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "name a file that does not exist yet")
	require.NoError(t, os.WriteFile(file("cut.rdb"), rdb[:len(rdb)/2], 0o600))
	code, _, _ = program(t, "", "filter", "-include", "user:*", file("cut.rdb"), file("half.rdb"))
	require.Equal(t, exitUnknown, code)
	require.NoFileExists(t, file("half.rdb"))
}

func TestRehearseOnStandIns(t *testing.T) {
	source, target := pair(t)
	standIn, standTarget := servers.OwnRedis(t, "--save", ""), servers.OwnRedis(t, "--save", "")
	require.NoError(t, standIn.Restore(source))
	t.Setenv("REDISMIGRATE_STANDIN_SOURCE", standIn.URL)
	t.Setenv("REDISMIGRATE_STANDIN_TARGET", standTarget.URL)
	code, _, errs := program(t, "", "rehearse", "-include", "session:*", "-strategy", "copy", "-window", "1h", "-back", "5m")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "add -apply")
	require.Zero(t, size(t, standTarget))
	code, out, _ := program(t, "", "rehearse", "-include", "session:*", "-strategy", "copy", "-window", "1h", "-back", "5m", "-apply")
	require.Equal(t, exitGood, code)
	require.Contains(t, out, "it works")
	require.Equal(t, int64(100), size(t, standTarget))
	require.Zero(t, size(t, target))
}

func TestUsageIsClearAndShowsNoPassword(t *testing.T) {
	t.Setenv("REDISMIGRATE_SOURCE", "")
	t.Setenv("REDISMIGRATE_TARGET", "")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "usage:"},
		{[]string{"help"}, exitGood, "usage:"},
		{[]string{"teleport"}, exitUsage, `there is no command "teleport"`},
		{[]string{"inspect"}, exitUsage, "REDISMIGRATE_SOURCE is not set"},
		{[]string{"copy"}, exitUsage, "selector is empty"},
		{[]string{"copy", "-include", "a*"}, exitUsage, "REDISMIGRATE_SOURCE is not set"},
		{[]string{"verify", "-include", "a*", "extra"}, exitUsage, `1 arguments are given, 0 are wanted: ["extra"]`},
		{[]string{"prune"}, exitUsage, "-plan is missing"},
		{[]string{"filter", "-include", "a*", "/nowhere/in.rdb", "/nowhere/out.rdb"}, exitUsage, "no such file"},
		{[]string{"filter", "-include", "a*", "-db-map", "0", "in", "out"}, exitUsage, "wanted are pairs like 2:0,3:0"},
		{[]string{"measure", "-flag"}, exitUsage, "see the flags above"},
		{[]string{"measure", "-h"}, exitGood, "max-rate"},
	} {
		code, out, errs := program(t, "", c.args...)
		require.Equal(t, c.code, code, c.args)
		require.Contains(t, out+errs, c.want, c.args)
	}
	for _, url := range []string{"http://u:geheim@h", "redis://u:geheim@127.0.0.1:1/0", "redis://u:ge%zzheim@h"} {
		t.Setenv("REDISMIGRATE_SOURCE", url)
		code, out, errs := program(t, "", "inspect")
		require.NotEqual(t, exitGood, code)
		require.NotContains(t, out+errs, "geheim")
		require.NotContains(t, out+errs, "heim")
	}
	t.Setenv("REDISMIGRATE_SOURCE", "redis://127.0.0.1:1")
	_, _, errs := program(t, "", "inspect", "-dbs", "0,x")
	require.Contains(t, errs, `-dbs has "x"`)
	_, _, errs = program(t, "", "inspect", "-source-ca", "x.pem")
	require.Contains(t, errs, "is not a rediss:// one")
	t.Setenv("REDISMIGRATE_SOURCE", "rediss://127.0.0.1:1")
	_, _, errs = program(t, "", "inspect", "-source-ca", "main.go")
	require.Contains(t, errs, "holds no certificate")
}

func TestAnInterruptEndsACommand(t *testing.T) {
	pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	require.Equal(t, exitUnknown, run(ctx, []string{"measure", "-include", "*"}, strings.NewReader(""), &out, &errs))
	require.Contains(t, errs.String(), "context canceled")
}

func TestProgressIsPlainWithoutATerminal(t *testing.T) {
	var out bytes.Buffer
	report, end := progress(&out)
	report(redismigrate.Progress{Job: "copy", Scanned: 5})
	end()
	require.Empty(t, out.String(), "not more often than every ten seconds")
	require.Equal(t, "copy db 2 pass 1: 5 keys looked at of about 10, 3 taken", progressLine(redismigrate.Progress{Job: "copy", DB: 2, Pass: 1, Scanned: 5, Total: 10, Done: 3}))
	report, end = bars(&out)
	report(redismigrate.Progress{Job: "copy", Pass: 1, Scanned: 5, Total: 10})
	report(redismigrate.Progress{Job: "copy", Pass: 2, Scanned: 15, Total: 10})
	end()
	require.Contains(t, out.String(), "copy db 0 pass 2")
}
