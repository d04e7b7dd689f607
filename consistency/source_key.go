package consistency

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// keyText makes Violation.Key out of a neutral key; parseKeyText is its inverse.
func keyText(kinds []Kind, key neutralKey) string {
	parts := make([]string, len(key))
	for i, text := range key {
		if kinds[i] == KindBinary {
			parts[i] = binaryText([]byte(text))
		} else {
			parts[i] = escapeKeyText(text)
		}
	}
	return strings.Join(parts, ",")
}

// parseKeyText takes the key of a violation apart again. It needs no kinds: what a kind writes differently is marked in the text.
func parseKeyText(text string, columns int) (neutralKey, error) {
	parts := splitKey(text)
	if len(parts) != columns {
		return nil, fmt.Errorf("the key %s has %s and not %d: it is not of this check", text, plural(len(parts), "part"), columns)
	}
	key := make(neutralKey, columns)
	for i, p := range parts {
		value, err := unescapeKeyPart(p)
		if err != nil {
			return nil, err
		}
		key[i] = value
	}
	return key, nil
}

// unescapeKeyPart is the inverse of keyPart for text and binary.
func unescapeKeyPart(p string) (string, error) {
	if p == `""` {
		return "", nil
	}
	if digits, ok := strings.CutPrefix(p, "0x"); ok {
		b, err := hex.DecodeString(digits)
		if err != nil {
			return "", fmt.Errorf("the key part %q is no binary: %w", p, err)
		}
		return string(b), nil
	}
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		if p[i] != '\\' {
			b.WriteByte(p[i])
			continue
		}
		i++
		switch {
		case i >= len(p):
			return "", fmt.Errorf("the key part %q ends in the middle", p)
		case p[i] == 'u' && i+4 < len(p):
			n, err := strconv.ParseUint(p[i+1:i+5], 16, 16)
			if err != nil {
				return "", fmt.Errorf("the key part %q: %w", p, err)
			}
			b.WriteRune(rune(n))
			i += 4
		default:
			b.WriteByte(p[i])
		}
	}
	return b.String(), nil
}
