package consistency

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// vetSQL returns the one statement of src, without what follows it, if it can only read; otherwise an error that says where and why not.
// It is the first of three guards: the session cannot write either, and the account should hold no privilege but SELECT.
func vetSQL(src string, mode lexMode) (string, error) {
	if !utf8.ValidString(src) {
		return "", errors.New("the query was not sent: it is not valid UTF-8")
	}
	tokens, err := lexSQL(src, mode)
	if err != nil {
		return "", err
	}
	end := len(src)
	for i, t := range tokens {
		if t.kind == tokenPunct && t.text == ";" {
			if i+1 < len(tokens) {
				return "", refusal(src, tokens[i+1].start, "begins a second statement (%s): a check is exactly one", clip(tokens[i+1].text))
			}
			end = t.start
			tokens = tokens[:i]
		}
	}
	if err := vetFirst(src, tokens); err != nil {
		return "", err
	}
	for i := range tokens {
		if err := vetToken(src, tokens, i); err != nil {
			return "", err
		}
	}
	return src[:end], nil
}

// trimStatement is a statement as vetSQL lets it pass, for those who judge it before a server is asked for its sql_mode.
func trimStatement(src string) string {
	if stmt, err := vetSQL(src, lexMode{}); err == nil {
		return strings.TrimSpace(stmt)
	}
	return src
}

// vetAnyMode vets before a server was asked for its sql_mode: it refuses what no mode would let pass.
func vetAnyMode(src string) error {
	_, err := vetSQL(src, lexMode{})
	for _, m := range []lexMode{{noBackslash: true}, {ansiQuotes: true}, {noBackslash: true, ansiQuotes: true}} {
		if err == nil {
			return nil
		}
		if _, other := vetSQL(src, m); other == nil {
			return nil
		}
	}
	return err
}

func vetFirst(src string, tokens []token) error {
	for _, t := range tokens {
		if t.kind == tokenPunct && t.text == "(" {
			continue
		}
		if t.kind == tokenWord {
			switch strings.ToUpper(t.text) {
			case "SELECT", "WITH", "TABLE", "VALUES":
				return nil
			}
		}
		return refusal(src, t.start, "begins with %s: a check may only read, so it begins with SELECT, WITH, TABLE or VALUES", clip(t.text))
	}
	return errors.New("the query was not sent: it is empty")
}

// The words of this function are reserved in MySQL and MariaDB, or stand where two identifiers never do: outside of quotes and not after "name." they are never identifiers.
func vetToken(src string, tokens []token, i int) error {
	t := tokens[i]
	next, prev := neighbour(tokens, i+1), neighbour(tokens, i-1)
	switch t.kind {
	case tokenPunct:
		switch {
		case t.text == ":" && next.text == "=" && next.glued:
			return refusal(src, t.start, "assigns a variable (:=): a check may only read")
		case t.text == "@" && next.text == "@" && next.glued, t.text == "@" && prev.text == "@" && t.glued:
			return nil // @@variable
		case t.text == "@":
			return refusal(src, t.start, "uses a user variable (@%s): it would be NULL on the check's own connection and the check green for nothing; pass the value in Args", clip(next.text))
		}
		return nil
	case tokenQuoted:
		return vetCall(src, tokens, i)
	case tokenWord:
	default:
		return nil
	}
	if qualified(tokens, i) {
		return nil
	}
	call := next.kind == tokenPunct && next.text == "("
	switch word := strings.ToUpper(t.text); word {
	case "INTO":
		return refusal(src, t.start, "writes its result somewhere (INTO): a check may only read")
	case "DELETE":
		return refusal(src, t.start, "holds DELETE: a check may only read")
	case "INSERT", "REPLACE": // also the names of functions
		if !call {
			return refusal(src, t.start, "holds %s: a check may only read", word)
		}
	case "UPDATE":
		if strings.EqualFold(prev.text, "FOR") {
			return refusal(src, t.start, "locks the rows that it reads (FOR UPDATE): remove it")
		}
		return refusal(src, t.start, "holds UPDATE: a check may only read")
	case "SHARE":
		if prev.kind == tokenWord && strings.EqualFold(prev.text, "FOR") {
			return refusal(src, t.start, "locks the rows that it reads (FOR SHARE): remove it")
		}
	case "LOCK":
		return refusal(src, t.start, "locks what it reads (LOCK): remove it")
	case "PROCEDURE":
		return refusal(src, t.start, "puts a procedure between its rows and the check (PROCEDURE): remove it")
	case "NEXT", "PREVIOUS": // MariaDB
		if strings.EqualFold(next.text, "VALUE") && next.kind == tokenWord && strings.EqualFold(neighbour(tokens, i+2).text, "FOR") {
			return refusal(src, t.start, "uses a sequence (%s VALUE FOR), which writes or is NULL on the check's own connection: remove it", word)
		}
	case "ROWS": // MariaDB
		if next.kind == tokenWord && strings.EqualFold(next.text, "EXAMINED") {
			return refusal(src, t.start, "holds LIMIT ROWS EXAMINED: the server cuts the result without an error, and the check would be green for nothing; remove it, Meta.Timeout is the limit")
		}
	}
	return vetCall(src, tokens, i)
}

// effects are functions of the server that do more than return a value; a read-only transaction stops none of them. A name that ends
// with _ is a family. Functions that users load or write themselves cannot be known: only the privileges of the account stop those.
var effects = map[string]string{
	"get_lock":                          "takes a lock that other programs see",
	"release_lock":                      "releases a lock",
	"release_all_locks":                 "releases locks",
	"last_insert_id":                    "reads or sets the state of a connection that other code uses too",
	"asynchronous_connection_failover_": "changes the replication of the server",
	"group_replication_":                "changes the replication of the server",
	"audit_log_":                        "changes the audit log of the server",
	"keyring_key_":                      "changes the keyring of the server",
	"version_tokens_":                   "changes the version tokens of the server",
	"mysql_firewall_":                   "changes the firewall of the server",
	"nextval":                           "writes to a sequence",
	"setval":                            "writes to a sequence",
	"lastval":                           "reads the state of a connection: it would be NULL on the check's own",
	"spider_":                           "writes through the Spider engine",
	"sys_exec":                          "runs a program on the server",
	"sys_eval":                          "runs a program on the server",
}

func vetCall(src string, tokens []token, i int) error {
	t, next := tokens[i], neighbour(tokens, i+1)
	if next.kind != tokenPunct || next.text != "(" || qualified(tokens, i) {
		return nil
	}
	name := strings.ToLower(t.text)
	what, ok := effects[name]
	for family, w := range effects {
		if strings.HasSuffix(family, "_") && strings.HasPrefix(name, family) {
			what, ok = w, true
		}
	}
	if ok {
		return refusal(src, t.start, "calls %s, which %s: a check may only read", strings.ToUpper(name), what)
	}
	return nil
}

// qualified reports whether the token is the x of "name.x", all without spaces, where even a reserved word is an identifier.
func qualified(tokens []token, i int) bool {
	if i < 2 || !tokens[i].glued || !tokens[i-1].glued || tokens[i-1].kind != tokenPunct || tokens[i-1].text != "." {
		return false
	}
	return tokens[i-2].kind == tokenWord || tokens[i-2].kind == tokenQuoted
}

// neighbour returns the token at i, or one without text where there is none.
func neighbour(tokens []token, i int) token {
	if i < 0 || i >= len(tokens) {
		return token{kind: tokenPunct}
	}
	return tokens[i]
}

// clip keeps a quoted piece of a statement short in a message.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
