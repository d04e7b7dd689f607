package servers

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheWatchdogIsNotListedAsATest(t *testing.T) {
	dog, err := theWatchdog()
	require.NoError(t, err)
	for _, file := range []string{"comm", "cmdline"} {
		require.Eventually(t, func() bool {
			name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(dog.cmd.Process.Pid), file))
			return err == nil && strings.Trim(string(name), "\x00\n") == watchdogName
		}, 10*time.Second, 10*time.Millisecond, file)
	}
}

func TestNothingIsLeftBehindWhenGoTestIsKilled(t *testing.T) {
	require.NoError(t, dockerAnswers(t.Context()))
	// A script is listed under its own name: the watchdog takes this one for `go test`.
	fake := filepath.Join(t.TempDir(), "go")
	require.NoError(t, os.WriteFile(fake, []byte("#!/bin/sh\n\"$@\"\ntrue\n"), 0o755))
	cmd, session, _ := start(t, "SIGKILL", []string{mysqlDSNEnv + "=", redisURLEnv + "="}, fake)
	require.Equal(t, 2, containersOf(t, session))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return containersOf(t, session) == 0 }, 30*time.Second, 100*time.Millisecond)
}
