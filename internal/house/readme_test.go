package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// blocks returns the README's fenced blocks of a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	var found []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		found = append(found, m[1])
	}
	require.NotEmpty(t, found)
	return found
}

// TestTheReadmesCodeStandsInCodeThatCompiles looks for each Go snippet in the Examples and example programs, which are
// compiled and run.
func TestTheReadmesCodeStandsInCodeThatCompiles(t *testing.T) {
	var code strings.Builder
	for _, pattern := range []string{"../../*/example*_test.go", "../../examples/*/*.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			code.Write(text)
		}
	}
	all := unindent(code.String())
	for _, snippet := range blocks(t, "go") {
		require.Contains(t, all, unindent(snippet), "the README shows code that no Example holds")
	}
}

func unindent(code string) string {
	var lines []string
	for line := range strings.Lines(code) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}
