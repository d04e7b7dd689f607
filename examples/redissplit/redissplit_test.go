package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// programEnv says that this test binary is to be the program, so that it and its processes have the race detector too.
const programEnv = "REDISSPLIT_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programEnv) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(servers.Main(m))
}

func program(t *testing.T) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), programEnv+"=1", "TMPDIR="+t.TempDir())
	return cmd
}

// TestTheReadmeShowsWhatTheProgramPrints runs the program, which fails by itself if anything is lost or a step cannot be taken. It ends only when its processes and its watchdog
// have, as all of them hold its standard error.
func TestTheReadmeShowsWhatTheProgramPrints(t *testing.T) {
	t.Parallel()
	var out, complaints bytes.Buffer
	cmd := program(t)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	require.NoError(t, cmd.Run(), "%s\n%s", &out, &complaints)
	require.True(t, strings.HasSuffix(out.String(), "\nlost 0, stale 0, resurrected 0, repeated 0\n"), out.String())
	shown := fenced(t, "text")
	require.Len(t, shown, 1)
	require.Equal(t, steady(shown[0]), steady(out.String()), "the README shows what the program does not print; run it and copy that\n%s", &complaints)
}

// steady takes out of a text what differs from run to run: figures, and the spaces that align them.
func steady(text string) string {
	for _, r := range []struct{ pattern, instead string }{
		{`[0-9][0-9.,]*`, "#"},
		{` +`, " "},
	} {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.instead)
	}
	return strings.TrimSpace(text)
}

// fenced returns the README's blocks of a language.
func fenced(t *testing.T, language string) (list []string) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		list = append(list, m[1])
	}
	return list
}

func TestTheReadmesCodeCompiles(t *testing.T) {
	code, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	shown := fenced(t, "go")
	require.Len(t, shown, 2)
	for _, snippet := range shown {
		require.Contains(t, unindent(string(code)), unindent(snippet))
	}
}

func unindent(code string) string {
	var lines []string
	for line := range strings.Lines(code) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "\n")
}

// Whatever ends the program, its processes end with it: else Wait, which waits until the last of them has closed standard error, would not return.
func TestNoProcessIsLeftWhenTheProgramIsKilled(t *testing.T) {
	t.Parallel()
	cmd := program(t)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "state ") {
	}
	require.NoError(t, lines.Err())
	require.NoError(t, cmd.Process.Kill())
	_, err = io.Copy(io.Discard, out)
	require.NoError(t, err)
	require.ErrorContains(t, cmd.Wait(), "killed", &complaints)
}
