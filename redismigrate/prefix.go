package redismigrate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// edge is one piece of a pattern of keys: a part that is the same in all of them, or any text (star), and the separators behind it.
type edge struct {
	star bool
	text string // as in the keys; behind a star only separators
}

// glob is the piece as a Redis glob pattern.
func (e edge) glob() string {
	text := globEscaper.Replace(e.text)
	if e.star {
		return "*" + text
	}
	return text
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// general is the piece with any text instead of its own, before the same separators.
func (e edge) general() edge {
	at := len(e.text)
	for at > 0 && (isSeparator(e.text[at-1]) || isJoiner(e.text[at-1])) {
		at--
	}
	return edge{star: true, text: e.text[at:]}
}

const (
	maxPieces  = 10 // of one pattern; the rest of a longer key is a star
	maxLiteral = 64 // a longer run without separators is a star
	maxRun     = 4  // separators kept behind one piece
)

// isSeparator tells what stands between the parts of a key; every byte below the space does too, as in "log\x00...".
func isSeparator(c byte) bool {
	switch c {
	case ':', '/', '|', '{', '}', ' ', ',', ';', '#', '@', '=', '&', 0x7f:
		return true
	}
	return c < ' '
}

// isJoiner tells what stands between the words of one part.
func isJoiner(c byte) bool { return c == '-' || c == '_' || c == '.' }

// cutPiece cuts the first piece off a key: the edge, and what is left of the key.
func cutPiece(key string) (e edge, rest string) {
	end := 0
	for end < len(key) && !isSeparator(key[end]) {
		end++
	}
	part := key[:end]
	if end > maxLiteral || isToken(part) {
		after := runEnd(key, end, isSeparator)
		return edge{star: true, text: key[end:after]}, key[after:]
	}
	word := 0
	for word < end && !isJoiner(key[word]) {
		word++
	}
	after := runEnd(key, word, isJoiner)
	if word == end {
		after = runEnd(key, end, isSeparator)
	}
	if isID(key[:word]) {
		return edge{star: true, text: key[word:after]}, key[after:]
	}
	if letters := lettersBefore(key[:word]); word-letters >= 3 && letters > 0 { // user12345
		return edge{text: key[:letters]}, key[letters:]
	}
	return edge{text: key[:after]}, key[after:]
}

func runEnd(key string, from int, in func(byte) bool) int {
	at := from
	for at < len(key) && at-from < maxRun && in(key[at]) {
		at++
	}
	return at
}

// lettersBefore is how much of a word stands before its trailing digits, if that holds no digit; else all of it.
func lettersBefore(word string) int {
	at := len(word)
	for at > 0 && isDigit(word[at-1]) {
		at--
	}
	for i := range at {
		if isDigit(word[i]) {
			return len(word)
		}
	}
	return at
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// isToken reports whether a whole part between separators is no name but an identifier, joiners included: a number or date, a UUID, a
// random token, or bytes that are no text.
func isToken(part string) bool {
	digits, joiners, turns := 0, 0, 0
	ascii := true
	for i := range len(part) {
		c := part[i]
		switch {
		case isDigit(c):
			digits++
		case isJoiner(c):
			joiners++
		case c >= utf8.RuneSelf:
			ascii = false
		}
		if i > 0 && isDigit(c) != isDigit(part[i-1]) && !isJoiner(c) && !isJoiner(part[i-1]) {
			turns++
		}
	}
	if !ascii && !isText(part) {
		return true
	}
	return digits > 0 && digits+joiners == len(part) || isUUID(part) || len(part) >= 16 && turns >= 4
}

func isText(s string) bool {
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") || !unicode.IsGraphic(r) || unicode.Is(unicode.Bidi_Control, r) {
			return false
		}
	}
	return true
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (s[i] == '-') || !dash && !isHex(s[i]) {
			return false
		}
	}
	return true
}

// isID reports whether a word between joiners is an identifier: a number, a hexadecimal one, or letters and digits mixed at length.
func isID(word string) bool {
	digits, hex := 0, 0
	for i := range len(word) {
		if isDigit(word[i]) {
			digits++
		}
		if isHex(word[i]) {
			hex++
		}
	}
	switch n := len(word); {
	case n == 0:
		return false
	case digits == n:
		return true
	case hex == n:
		return digits > 0 && n >= 6 || n >= 12
	}
	return digits >= 3 && len(word) >= 8 && lettersBefore(word) == len(word)
}
