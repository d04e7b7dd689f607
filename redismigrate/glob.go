package redismigrate

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// glob is one Redis glob pattern, compiled. It follows the server's own matcher (stringmatchlen in Redis' util.c) over bytes: `*` any
// run, `?` one byte, `[a-c]` and `[^a-c]` one byte in or out of a class, `\x` the byte x itself.
type glob struct {
	source string
	prefix string // the literal bytes before the first special one
	ops    []globOp
	all    bool // exactly "*", which the server never hands to its matcher
	tail   bool // the ops are a lone star: the prefix decides alone
}

type globOp struct {
	star  bool
	class *[256]bool
}

// compileGlob compiles a pattern. Patterns that the server accepts but whose author almost certainly meant something else are refused:
// they decide what is deleted.
func compileGlob(pattern string) (*glob, error) {
	if pattern == "" {
		return nil, errors.New(`an empty pattern; write "*" to mean every key`)
	}
	g := &glob{source: pattern, all: pattern == "*"}
	var prefix strings.Builder
	stars := 0
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			if n := len(g.ops); n > 0 && g.ops[n-1].star {
				continue
			}
			if stars++; stars > 1000 { // the server answers "no match" beyond 1,000 nested stars
				return nil, errors.New("more than 1,000 stars")
			}
			g.ops = append(g.ops, globOp{star: true})
		case '?':
			class := new([256]bool)
			for b := range class {
				class[b] = true
			}
			g.ops = append(g.ops, globOp{class: class})
		case '[':
			class, next, err := compileClass(pattern, i+1)
			if err != nil {
				return nil, err
			}
			g.ops = append(g.ops, globOp{class: class})
			i = next
		default:
			if c == '\\' {
				if i+1 == len(pattern) {
					return nil, errors.New(`it ends in a lone backslash; write \\ for the byte itself`)
				}
				i++
				c = pattern[i]
			}
			if len(g.ops) == 0 {
				prefix.WriteByte(c)
				continue
			}
			class := new([256]bool)
			class[c] = true
			g.ops = append(g.ops, globOp{class: class})
		}
	}
	g.prefix = prefix.String()
	g.tail = len(g.ops) == 1 && g.ops[0].star
	return g, nil
}

// compileClass reads a class whose first byte after the bracket is at i and returns the index of its closing bracket.
func compileClass(pattern string, i int) (*[256]bool, int, error) {
	open, class := i-1, new([256]bool)
	negate := i < len(pattern) && pattern[i] == '^'
	if negate {
		i++
	}
	if err := checkClassBytes(pattern[i:]); err != nil {
		return nil, 0, err
	}
	first := i
	for ; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			i++
			class[pattern[i]] = true
		case c == ']':
			if i == first {
				return nil, 0, fmt.Errorf("an empty class at byte %d", open)
			}
			if negate {
				for b := range class {
					class[b] = !class[b]
				}
			}
			return class, i, nil
		case i+2 < len(pattern) && pattern[i+1] == '-':
			from, to := c, pattern[i+2]
			if (from < utf8.RuneSelf) != (to < utf8.RuneSelf) {
				return nil, 0, fmt.Errorf("the range at byte %d runs from an ASCII byte to another one; servers on different processors order these differently", i)
			}
			for b := min(int(from), int(to)); b <= max(int(from), int(to)); b++ {
				class[b] = true
			}
			i += 2
		default:
			class[c] = true
		}
	}
	return nil, 0, fmt.Errorf(`the class opened at byte %d is never closed; write \[ for the byte itself`, open)
}

// checkClassBytes refuses a whole multi-byte character in a class: the server matches bytes, so the class would match a third of it.
func checkClassBytes(rest string) error {
	for i := 0; i < len(rest) && rest[i] != ']'; {
		if rest[i] == '\\' {
			i += 2
			continue
		}
		r, size := utf8.DecodeRuneInString(rest[i:])
		if size > 1 && r != utf8.RuneError {
			return fmt.Errorf("the class holds the character %q, but Redis matches single bytes; write one pattern for each such character", r)
		}
		i += size
	}
	return nil
}

// match reports whether the server would match the key.
func (g *glob) match(key string) bool {
	if g.all {
		return true
	}
	if key == "" || !strings.HasPrefix(key, g.prefix) {
		return false // the server's matcher never enters its loop for the empty key
	}
	if g.tail {
		return true
	}
	key = key[len(g.prefix):]
	op, at := 0, 0
	star, resume := -1, 0 // the last star and how far it reaches
	for at < len(key) {
		switch {
		case op < len(g.ops) && g.ops[op].star:
			star, resume = op, at
			op++
		case op < len(g.ops) && g.ops[op].class[key[at]]:
			op++
			at++
		case star >= 0:
			resume++
			op, at = star+1, resume
		default:
			return false
		}
	}
	for op < len(g.ops) && g.ops[op].star {
		op++
	}
	return op == len(g.ops)
}
