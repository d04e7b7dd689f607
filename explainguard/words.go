package explainguard

// words calls visit with each word and each opening parenthesis of a statement, with the depth of parentheses in which it stands; text in
// quotes and comments is passed over. It ends when visit returns false.
func words(sql string, visit func(word string, depth, end int) bool) {
	depth := 0
	for i := 0; i < len(sql); {
		next, comment := skipComment(sql, i)
		switch c := sql[i]; {
		case comment != commentNone:
			i = next
		case c == '\'' || c == '"' || c == '`':
			i = skipQuoted(sql, i)
		case c == '(':
			i++
			if !visit("(", depth, i) {
				return
			}
			depth++
		case c == ')':
			depth--
			i++
		case isWord(c):
			start := i
			for i < len(sql) && isWord(sql[i]) {
				i++
			}
			if !visit(sql[start:i], depth, i) {
				return
			}
		default:
			i++
		}
	}
}
