package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// TestTheReadmeShowsWhatTheDemoPrints runs the demo, which fails by itself where a story does not come out as told, and
// looks for each of the README's outputs in what it printed.
func TestTheReadmeShowsWhatTheDemoPrints(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, tell(t.Context(), &out))
	printed := steady(out.String())
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	shown := regexp.MustCompile("(?s)```text\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.NotEmpty(t, shown)
	for _, block := range shown {
		require.Contains(t, printed, steady(block[1]), "the README shows what the demo does not print; run make demo and copy it")
	}
}

// steady takes out of a text what differs from run to run: figures, identifiers, and the spaces that align them.
func steady(text string) string {
	for _, r := range []struct{ pattern, instead string }{
		{`run_id [0-9a-f]+`, "run_id #"},
		{`"incident":"[a-z2-7]+"`, `"incident":#`},
		{`[0-9][0-9.,:TZ-]*(ms|µs|s)?`, "#"},
		{`[ \n]+`, " "},
	} {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.instead)
	}
	return strings.TrimSpace(text)
}
