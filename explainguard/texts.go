package explainguard

import (
	"fmt"
	"hash/maphash"
	"regexp"
	"strings"
	"sync"
	"time"
)

// statementText is what is known of a statement from its text alone.
type statementText struct {
	query  string
	shape  string // its fingerprint
	stmt   statement
	err    error  // why it cannot be explained
	noPlan bool   // nor is there a plan for such statements: SET, DDL, CALL, …
	verb   string // for the summary: its first word or two
	writes bool   // it may change what another statement's plan goes by

	parts []*statementText // the single ones, if it is several statements in one text

	ownSession  bool // it reads a user variable, which only the program's session has
	valuesOnly  bool // an INSERT of given values reads nothing, whatever they are
	plainLookup bool // see isPlainLookup
	readsFirst  bool // it is explained before it runs, as it changes or locks what it reads
}

const (
	maxTexts    = 4096
	maxTextSize = 8 << 10 // longer ones are looked at again each time; they take the server longer anyway
)

// texts remembers them, for the whole process: the same few statements come again and again.
var texts struct {
	sync.RWMutex
	known map[string]*statementText
}

func textOf(query string) *statementText {
	if len(query) > maxTextSize {
		return readText(query)
	}
	texts.RLock()
	t := texts.known[query]
	texts.RUnlock()
	if t != nil {
		return t
	}
	query = strings.Clone(query) // it may be a part of something large
	t = readText(query)
	texts.Lock()
	defer texts.Unlock()
	if texts.known == nil || len(texts.known) >= maxTexts {
		texts.known = map[string]*statementText{}
	}
	texts.known[query] = t
	return t
}

var (
	userVariable = regexp.MustCompile(`(^|[^@\w.])@[^@\s]`)
	anySelect    = regexp.MustCompile(`(?i)\b(select|table|with)\b`)
	isNull       = regexp.MustCompile(`(?i)\bis\s+(not\s+)?null\b`)
	nullWord     = regexp.MustCompile(`(?i)\bnull\b`)
)

func readText(query string) *statementText {
	t := &statementText{query: query, shape: fingerprint(query)}
	t.stmt, t.err = oneStatement(query)
	if parts := splitStatements(query); len(parts) > 1 {
		for _, p := range parts {
			t.parts = append(t.parts, readText(p))
		}
	}
	words := strings.Fields(t.shape)
	if len(words) > 0 {
		t.verb = strings.ToUpper(shorten(strings.TrimLeft(words[0], "("), 20))
		if len(words) > 1 && twoWords[t.verb] {
			t.verb += " " + strings.ToUpper(words[1])
		}
	}
	_, planned := explainable[t.verb]
	t.noPlan = t.err != nil && !planned
	t.writes = t.err != nil || !t.stmt.readOnly
	t.ownSession = userVariable.MatchString(t.shape)
	insert := t.verb == "INSERT" || t.verb == "REPLACE"
	t.valuesOnly = insert && !anySelect.MatchString(t.shape)
	t.plainLookup = t.err == nil && t.stmt.readOnly && isPlainLookup(t.shape)
	t.readsFirst = t.err == nil && !t.stmt.readOnly && !t.valuesOnly
	return t
}

// splitStatements cuts a text at the semicolons between statements.
func splitStatements(text string) (parts []string) {
	start, empty := 0, true
	for i := 0; i < len(text); {
		next, comment := skipComment(text, i)
		switch c := text[i]; {
		case comment != commentNone:
			empty = empty && comment == commentPlain
			i = next
		case c == '\'' || c == '"' || c == '`':
			i = skipQuoted(text, i)
		case c == ';':
			if !empty {
				parts = append(parts, text[start:i])
			}
			i++
			start, empty = i, true
		default:
			empty = empty && isSpace(c)
			i++
		}
	}
	if !empty {
		parts = append(parts, text[start:])
	}
	return parts
}

// twoWords are the verbs that say little alone.
var twoWords = map[string]bool{"CREATE": true, "DROP": true, "ALTER": true, "TRUNCATE": true, "START": true, "ROLLBACK": true, "RELEASE": true, "LOCK": true, "UNLOCK": true, "SHOW": true}

var argsSeed = maphash.MakeSeed()

// hashArgs tells argument tuples of one statement text apart; two that have the same hash are taken for one.
func hashArgs(query string, args []any) uint64 {
	var h maphash.Hash
	h.SetSeed(argsSeed)
	_, _ = h.WriteString(query) // never fails
	for _, a := range args {
		switch v := a.(type) {
		case nil:
			_ = h.WriteByte(0)
		case int64:
			_ = h.WriteByte(1)
			maphash.WriteComparable(&h, v)
		case string:
			_ = h.WriteByte(2)
			maphash.WriteComparable(&h, len(v))
			_, _ = h.WriteString(v)
		case []byte:
			_ = h.WriteByte(3)
			maphash.WriteComparable(&h, len(v))
			_, _ = h.Write(v)
		case bool:
			_ = h.WriteByte(4)
			maphash.WriteComparable(&h, v)
		case float64:
			_ = h.WriteByte(5)
			maphash.WriteComparable(&h, v)
		case uint64:
			_ = h.WriteByte(6)
			maphash.WriteComparable(&h, v)
		case time.Time:
			_ = h.WriteByte(7)
			maphash.WriteComparable(&h, v.UnixNano())
		default:
			_ = h.WriteByte(8)
			_, _ = fmt.Fprintf(&h, "%T%v", v, v)
		}
	}
	return h.Sum64()
}
