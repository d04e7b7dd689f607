package explainguard

import "strings"

// What a server prints as a condition is not always SQL ("<if>(found_match(p), …)", "<hash>(a.x)=<hash>(b.y)", names with or
// without backticks). This file reads from it what it surely tells: the columns, and the equalities that must hold.

// columnRef is a column as a condition names it.
type columnRef struct{ alias, column string }

// columnsIn returns the columns that a condition names with their table, in the order of the text, each once.
func columnsIn(text string) []columnRef {
	var out []columnRef
	seen := map[columnRef]bool{}
	for i := 0; i < len(text); {
		if c := text[i]; c == '\'' || c == '"' {
			i = skipQuoted(text, i)
			continue
		} else if !startsName(c) {
			i++
			for c >= '0' && c <= '9' && i < len(text) && (isWord(text[i]) || text[i] == '.') { // 1.5e3
				i++
			}
			continue
		}
		var ref columnRef
		parts := 0
		for i < len(text) && startsName(text[i]) {
			var part string
			part, i = nameAt(text, i)
			ref.alias, ref.column = ref.column, part
			parts++
			if i+1 >= len(text) || text[i] != '.' {
				break
			}
			i++
		}
		if parts > 1 && !seen[ref] {
			seen[ref] = true
			out = append(out, ref)
		}
	}
	return out
}

func startsName(c byte) bool { return c == '`' || c == '$' || isWord(c) && (c < '0' || c > '9') }

// nameAt reads the name that starts at i, and returns the position after it.
func nameAt(text string, i int) (string, int) {
	if text[i] == '`' {
		end := skipQuoted(text, i)
		return unquote(text[i:end]), end
	}
	start := i
	for i < len(text) && (isWord(text[i]) || text[i] == '$') {
		i++
	}
	return text[start:i], i
}

// aliases are the names of the tables that are read by a node and its inputs.
func (n *Node) aliases() map[string]bool {
	known := map[string]bool{}
	n.addAliases(known)
	return known
}

func (n *Node) addAliases(known map[string]bool) {
	if n == nil {
		return
	}
	if n.Alias != "" {
		known[n.Alias] = true
	}
	for _, in := range n.Inputs {
		in.addAliases(known)
	}
}

// ties reports whether a condition names tables of both sides.
func ties(condition string, left, right map[string]bool) bool {
	var l, r bool
	for _, ref := range columnsIn(condition) {
		l, r = l || left[ref.alias], r || right[ref.alias]
	}
	return l && r
}

// hashKeys picks the equalities between two sides of a join from the conditions that a server prints beside its inner table:
// those by which a hash join finds what belongs together.
func hashKeys(conditions []string, left, right *Node) []string {
	l, r := left.aliases(), right.aliases()
	only := func(text string, side, other map[string]bool) bool {
		refs := columnsIn(text)
		for _, ref := range refs {
			if !side[ref.alias] || other[ref.alias] {
				return false
			}
		}
		return len(refs) > 0
	}
	var keys []string
	for _, c := range conditions {
		for _, part := range conjuncts(c) {
			for _, op := range []string{" = ", " <=> "} {
				a, b, ok := cutTop(part, op)
				if ok && (only(a, l, r) && only(b, r, l) || only(a, r, l) && only(b, l, r)) {
					keys = append(keys, part)
				}
			}
		}
	}
	return keys
}

// conjuncts splits a condition into the parts that must all hold. What the server tests only for rows that matched, or only for
// rows that are not NULL-complemented, must hold as far as a join goes.
func conjuncts(text string) []string {
	text = strings.TrimSpace(text)
	if inner, ok := inParentheses(text); ok {
		return conjuncts(inner)
	}
	if inner, ok := strings.CutPrefix(text, "<if>("); ok && closing(text, len("<if>")) == len(text)-1 {
		if _, rest, ok := cutTop(inner[:len(inner)-1], ", "); ok {
			if then, _, ok := cutTop(rest, ", "); ok {
				return conjuncts(then)
			}
		}
	}
	if a, b, ok := cutTop(text, " and "); ok {
		if _, _, between := cutTop(a, " between "); !between {
			return append(conjuncts(a), conjuncts(b)...)
		}
	}
	return []string{text}
}

// inParentheses takes away a pair of parentheses that encloses the whole text.
func inParentheses(text string) (string, bool) {
	if len(text) < 2 || text[0] != '(' || closing(text, 0) != len(text)-1 {
		return text, false
	}
	return text[1 : len(text)-1], true
}

// closing returns the position of the parenthesis that closes the one at open, or len(text).
func closing(text string, open int) int {
	depth := 0
	for i := open; i < len(text); i++ {
		switch text[i] {
		case '\'', '"', '`':
			i = skipQuoted(text, i) - 1
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

// cutTop cuts a text at the first separator that stands outside quotes and parentheses.
func cutTop(text, separator string) (before, after string, found bool) {
	for i := 0; i+len(separator) <= len(text); i++ {
		if strings.HasPrefix(text[i:], separator) {
			return text[:i], text[i+len(separator):], true
		}
		switch text[i] {
		case '\'', '"', '`':
			i = skipQuoted(text, i) - 1
		case '(':
			i = closing(text, i)
		}
	}
	return text, "", false
}

// plain writes a condition as a person would: names without backticks and schema, no parentheses around the whole.
func plain(condition string) string {
	for {
		inner, ok := inParentheses(strings.TrimSpace(condition))
		if !ok {
			break
		}
		condition = inner
	}
	var b strings.Builder
	for i := 0; i < len(condition); {
		c := condition[i]
		switch {
		case c == '\'' || c == '"':
			end := skipQuoted(condition, i)
			b.WriteString(condition[i:end])
			i = end
		case startsName(c):
			var chain []string
			for i < len(condition) && startsName(condition[i]) {
				var part string
				part, i = nameAt(condition, i)
				chain = append(chain, part)
				if i+1 >= len(condition) || condition[i] != '.' || !startsName(condition[i+1]) {
					break
				}
				i++
			}
			b.WriteString(strings.Join(chain[max(0, len(chain)-2):], "."))
		default:
			b.WriteByte(c)
			i++
			for c >= '0' && c <= '9' && i < len(condition) && isWord(condition[i]) {
				b.WriteByte(condition[i])
				i++
			}
		}
	}
	return shorten(b.String(), 100)
}
