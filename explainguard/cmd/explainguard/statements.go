package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// statement is one statement of a file.
type statement struct {
	text string
	line int // of its first word
	args []any
}

// argsComment gives the arguments of the statement that follows: -- args: [1, "Tokyo", null]
var argsComment = regexp.MustCompile(`(?m)^[ \t]*(?:--|#)[ \t]+args:[ \t]*(.*)$`)

// split cuts a file at the semicolons outside quotes and comments, as the mysql client does.
func split(text string) ([]statement, error) {
	if at := regexp.MustCompile(`(?mi)^[ \t]*delimiter[ \t]`).FindStringIndex(text); at != nil {
		return nil, fmt.Errorf("line %d: DELIMITER is a command of the mysql client; write statements that end with a semicolon", lineAt(text, at[0]))
	}
	var out []statement
	start, word := 0, -1 // of the statement, and its first word
	add := func(end int) error {
		if word < 0 {
			return nil
		}
		s := statement{text: strings.TrimSpace(text[word:end]), line: lineAt(text, word)}
		if m := argsComment.FindAllStringSubmatch(text[start:word], -1); m != nil {
			var err error
			if s.args, err = readArgs(m[len(m)-1][1]); err != nil {
				return fmt.Errorf("line %d: the arguments before the statement: %w", s.line, err)
			}
		}
		out = append(out, s)
		return nil
	}
	for i := 0; i < len(text); {
		next := skip(text, i)
		switch {
		case next < 0:
			return nil, fmt.Errorf("line %d: a quote or comment is opened and never closed", lineAt(text, i))
		case text[i] == ';':
			if err := add(i); err != nil {
				return nil, err
			}
			start, word = next, -1
		case word < 0 && !isBlank(text[i]) && !isComment(text[i:]):
			word = i
		}
		i = next
	}
	return out, add(len(text))
}

func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isComment(s string) bool {
	return strings.HasPrefix(s, "#") || strings.HasPrefix(s, "/*") && !strings.HasPrefix(s, "/*!") && !strings.HasPrefix(s, "/*+") ||
		strings.HasPrefix(s, "--") && (len(s) == 2 || isBlank(s[2]))
}

// skip returns the position after the character, quoted text or comment at i; -1 if that has no end.
func skip(s string, i int) int {
	end := func(from int, mark string) int {
		if at := strings.Index(s[from:], mark); at >= 0 {
			return from + at + len(mark)
		}
		return -1
	}
	switch c := s[i]; {
	case c == '\'' || c == '"' || c == '`':
		for j := i + 1; j < len(s); j++ {
			switch {
			case s[j] == '\\' && c != '`':
				j++
			case s[j] == c && j+1 < len(s) && s[j+1] == c:
				j++
			case s[j] == c:
				return j + 1
			}
		}
		return -1
	case strings.HasPrefix(s[i:], "/*"):
		return end(i+2, "*/")
	case isComment(s[i:]):
		if next := end(i, "\n"); next >= 0 {
			return next
		}
		return len(s)
	default:
		return i + 1
	}
}

func lineAt(text string, pos int) int { return 1 + strings.Count(text[:pos], "\n") }

func readArgs(text string) ([]any, error) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.UseNumber()
	var args []any
	if err := dec.Decode(&args); err != nil {
		return nil, fmt.Errorf(`%q is no JSON array; write -- args: [1, "Tokyo", null]`, text)
	}
	for i, a := range args {
		switch a := a.(type) {
		case json.Number:
			if n, err := a.Int64(); err == nil {
				args[i] = n
			} else if f, err := a.Float64(); err == nil {
				args[i] = f
			}
		case string, bool, nil:
		default:
			return nil, errors.New("arguments are numbers, texts, true, false or null")
		}
	}
	return args, nil
}
